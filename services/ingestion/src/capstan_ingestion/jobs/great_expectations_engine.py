"""Hold a table against a contract with Great Expectations itself. Importing this module takes about ten seconds."""

from __future__ import annotations

import io
import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any, TypeAlias

import great_expectations as gx
import numpy as np
import pyarrow as pa
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from capstan_ingestion.domain import sentences
from capstan_ingestion.domain.bounds import BadBound, compared
from capstan_ingestion.domain.contract import Document, Expectation
from capstan_ingestion.jobs.exact_bounds import evaluate, needs_exact_bounds
from capstan_ingestion.jobs.frames import View, exact_columns, exact_set, frames, view_of
from capstan_ingestion.jobs.not_evaluated import remedy
from capstan_ingestion.jobs.results import result_of
from capstan_ingestion.media.types import type_name
from capstan_ingestion.modalities.port import NO_ROWS, Finding, Rows

ENGINE = f"great-expectations {gx.__version__}"
Answer: TypeAlias = Mapping[str, Any]
"""A result of the engine, or a part of it, as JSON."""

_POSITION = "capstan_position"
_FORMAT = {
    "result_format": "COMPLETE",
    "partial_unexpected_count": 0,
    # Else the result holds a text with every failing index.
    "return_unexpected_index_query": False,
}

logging.getLogger("great_expectations").setLevel(logging.CRITICAL)


def validate(table: pa.Table, document: Document, contract: Sequence[Expectation]) -> list[Finding]:
    """One result per expectation of the contract, in its order. `table` is canonical; a row is its place in it."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    exact = exact_columns(table)
    outcomes = {
        position: evaluate(expectation, table)
        for position, expectation in enumerate(contract)
        if needs_exact_bounds(expectation, table, exact)
    }
    built, refused = _build(table, document, contract, outcomes, exact)
    outcomes |= refused
    for view, frame in frames(table, set(built), exact).items():
        suite = gx.ExpectationSuite(name=document["name"], expectations=built[view])
        source = context.data_sources.add_pandas(view)
        batch = source.read_dataframe(frame)
        for result in batch.validate(suite, result_format=_FORMAT).to_json_dict()["results"]:
            position = result["expectation_config"]["meta"][_POSITION]
            outcomes[position] = _outcome(contract[position], result, table)
    # An expectation that the engine dropped without a word counts as not evaluated.
    lost = "the engine returned no result for it"
    return [outcomes.get(position) or _error(expectation, lost, table) for position, expectation in enumerate(contract)]


def _build(
    table: pa.Table,
    document: Document,
    contract: Sequence[Expectation],
    done: Container[int],
    exact: Container[str],
) -> tuple[dict[View, list[Any]], dict[int, Finding]]:
    """Expectation objects by the frame that they look at, and an error for each that the engine refuses.

    One bad expectation must not hide the others. Those that are `done` are left out. `exact`: columns beyond floats.
    """
    built: dict[View, list[Any]] = {}
    refused = {}
    types = {field.name: type_name(field.type) for field in table.schema}
    for position, entry in enumerate(document["expectations"]):
        if position in done:
            continue
        expectation = contract[position]
        name = expectation.column or ""
        kwargs = {k: v for k, v in (entry.get("kwargs") or {}).items() if k != "result_format"}
        meta = {**(entry.get("meta") or {}), _POSITION: position}
        try:
            kwargs = compared(expectation.type, kwargs, types.get(name))
            if name in exact and types[name].startswith("decimal"):
                kwargs = dict(exact_set(kwargs))
            with redirect_stderr(io.StringIO()):
                made = ExpectationConfiguration(type=expectation.type, kwargs=kwargs, meta=meta).to_domain_obj()
            built.setdefault(view_of(expectation.type), []).append(made)
        except BadBound as error:
            refused[position] = Finding(result_of(expectation, "error", 0, 1, sentences.error(expectation, str(error))))
        except Exception as error:  # noqa: BLE001 - the engine's own edge: whatever it raises is that check's result
            refused[position] = _error(expectation, str(error), table)
    return built, refused


def _outcome(expectation: Expectation, result: Answer, table: pa.Table) -> Finding:
    rows = table.num_rows
    if (message := _raised(result.get("exception_info") or {})) is not None:
        return _error(expectation, message, table)
    figures = result.get("result") or {}
    if result["success"]:
        return Finding(result_of(expectation, "passed", 0, rows, ""))
    failing = int(figures.get("unexpected_count") or 0)
    sentence = sentences.failure(
        expectation, rows=rows, failing=failing, observed=figures.get("observed_value"), details=figures.get("details")
    )
    return Finding(
        result_of(expectation, "failed", failing, rows, sentence), _rows(figures.get("unexpected_index_list"))
    )


def _raised(info: Answer) -> str | None:
    """The message of an expectation that raised. The engine tells it in two shapes: flat, or keyed by metric."""
    return next((str(each.get("exception_message") or "") for each in _infos(info) if each["raised_exception"]), None)


def _infos(info: Answer) -> Iterator[Answer]:
    if "raised_exception" in info:
        yield info
        return
    for each in info.values():
        if isinstance(each, dict) and "raised_exception" in each:
            yield each


def _rows(indices: Sequence[object] | None) -> Rows:
    if not indices or not isinstance(indices[0], int | np.integer):
        return NO_ROWS
    return np.unique(np.asarray(indices, dtype=np.int64))


def _error(expectation: Expectation, message: str, table: pa.Table) -> Finding:
    return Finding(
        result_of(expectation, "error", 0, 1, sentences.error(expectation, message, remedy(expectation, table)))
    )
