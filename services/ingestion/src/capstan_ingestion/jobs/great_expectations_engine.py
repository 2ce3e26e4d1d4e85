"""Hold a table against a contract with Great Expectations itself. Importing this module takes about ten seconds."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain import sentences
from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.jobs.row_rules import NO_ROWS, Found, Rows

ENGINE = f"great-expectations {gx.__version__}"
_POSITION = "capstan_position"
_FORMAT = {
    "result_format": "COMPLETE",
    "partial_unexpected_count": 0,
    # Else the result holds a text with every failing index.
    "return_unexpected_index_query": False,
}

logging.getLogger("great_expectations").setLevel(logging.CRITICAL)


def validate(frame: pd.DataFrame, document: Mapping[str, Any], contract: Sequence[Expectation]) -> list[Found]:
    """One result per expectation of the contract, in its order. The index of `frame` is the row in the file."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    built, outcomes = _build(document, contract)
    if built:
        suite = gx.ExpectationSuite(name=document["name"], expectations=built)
        batch = context.data_sources.pandas_default.read_dataframe(frame)
        for result in batch.validate(suite, result_format=_FORMAT).to_json_dict()["results"]:
            position = result["expectation_config"]["meta"][_POSITION]
            outcomes[position] = _outcome(contract[position], result, len(frame))
    # An expectation that the engine dropped without a word counts as not evaluated.
    lost = "the engine returned no result for it"
    return [outcomes.get(position) or _error(one, lost) for position, one in enumerate(contract)]


def _build(document: Mapping[str, Any], contract: Sequence[Expectation]) -> tuple[list[Any], dict[int, Found]]:
    """Expectation objects, and an error for each that the engine refuses: one bad one must not hide the others."""
    built, refused = [], {}
    for position, entry in enumerate(document["expectations"]):
        meta = {**(entry.get("meta") or {}), _POSITION: position}
        configuration = {
            "type": entry["type"],
            "kwargs": {k: v for k, v in (entry.get("kwargs") or {}).items() if k != "result_format"},
            "meta": meta,
        }
        try:
            with redirect_stderr(io.StringIO()):
                built.append(ExpectationConfiguration(**configuration).to_domain_obj())
        except Exception as error:  # noqa: BLE001 - the engine's own edge: whatever it raises is that check's result
            refused[position] = _error(contract[position], str(error))
    return built, refused


def _outcome(one: Expectation, result: Mapping[str, Any], rows: int) -> Found:
    if (message := _raised(result.get("exception_info") or {})) is not None:
        return _error(one, message)
    figures = result.get("result") or {}
    if result["success"]:
        return Found(_result(one, "passed", 0, rows, ""))
    failing = int(figures.get("unexpected_count") or 0)
    sentence = sentences.failure(
        one, rows=rows, failing=failing, observed=figures.get("observed_value"), details=figures.get("details")
    )
    return Found(_result(one, "failed", failing, rows, sentence), _rows(figures.get("unexpected_index_list")))


def _raised(info: Mapping[str, Any]) -> str | None:
    """The message of an expectation that raised. The engine tells it in two shapes: flat, or keyed by metric."""
    return next((str(each.get("exception_message") or "") for each in _infos(info) if each["raised_exception"]), None)


def _infos(info: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "raised_exception" in info:
        yield info
        return
    for each in info.values():
        if isinstance(each, dict) and "raised_exception" in each:
            yield each


def _rows(indices: Any) -> Rows:
    if not indices or not isinstance(indices[0], int | np.integer):
        return NO_ROWS
    return np.unique(np.asarray(indices, dtype=np.int64))


def _error(one: Expectation, message: str) -> Found:
    return Found(_result(one, "error", 0, 1, sentences.error(one, message)))


def _result(one: Expectation, outcome: Any, failing: int, rows: int, sentence: str) -> CheckResult:
    return CheckResult(
        key=one.key,
        expectation=one.type,
        column=one.column,
        severity=one.severity,
        outcome=outcome,
        failing_rows=failing,
        failing_share=failing / rows if rows else 0.0,
        sentence=sentence,
    )
