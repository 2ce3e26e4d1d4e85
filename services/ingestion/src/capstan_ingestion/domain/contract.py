"""A contract is a Great Expectations suite in its own JSON: read and refused here, kept verbatim, run by a job."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from capstan_ingestion.domain.vocabulary import ALWAYS, ARGUMENTS, ELSEWHERE

Document: TypeAlias = Mapping[str, Any]
"""A suite, or a part of it: JSON whose fields Great Expectations defines."""

Arguments: TypeAlias = Mapping[str, Any]
"""The arguments of an expectation: `ARGUMENTS` says their names, Great Expectations what each may be."""

Severity = Literal["critical", "warning", "info"]
MAX_EXPECTATIONS = 1000
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class ContractBroken(Exception):
    """The document is not a suite that can be run; `errors` are (place, rule) pairs."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{place}: {rule}" for place, rule in errors[:3]))
        self.errors = errors


@dataclass(frozen=True)
class Expectation:
    """One expectation of a suite, under a key that is unique in its contract."""

    key: str
    type: str
    kwargs: Arguments
    severity: Severity

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads; empty where it looks at the table as a whole."""
        if self.type.startswith("expect_table_"):
            return ()
        named = [self.kwargs.get(name) for name in ("column", "column_A", "column_B")]
        listed = self.kwargs.get("column_list") or []
        return tuple(str(name) for name in (*named, *listed) if name is not None)

    @property
    def column(self) -> str | None:
        """Its column, where it is about exactly one."""
        return self.columns[0] if len(self.columns) == 1 else None


def read_contract(document: object) -> tuple[Expectation, ...]:
    """The expectations of a suite, in its order; ContractBroken names every place that breaks a rule."""
    errors = list(_shape_errors(document))
    if errors or not isinstance(document, dict):
        raise ContractBroken(errors)
    for index, entry in enumerate(document["expectations"]):
        errors += [(f"expectations[{index}]{place}", rule) for place, rule in _entry_errors(entry)]
    if errors:
        raise ContractBroken(errors)
    expectations: list[Expectation] = []
    taken: set[str] = set()
    for entry in document["expectations"]:
        key = _unique(_key(entry), taken)
        severity: Severity = entry.get("severity") or "critical"
        expectations.append(Expectation(key, entry["type"], entry.get("kwargs") or {}, severity))
    return tuple(expectations)


def asks_unique(contract: Sequence[Expectation], columns: Sequence[str]) -> bool:
    """Whether the contract itself says how unique these columns together have to be."""
    wanted = set(columns)
    types = {"expect_compound_columns_to_be_unique", "expect_column_values_to_be_unique"}
    return any(entry.type in types and set(entry.columns) == wanted for entry in contract)


def asks_not_null(contract: Sequence[Expectation], column: str) -> bool:
    """Whether the contract itself says how many nulls a column may have."""
    return any(entry.type == "expect_column_values_to_not_be_null" and entry.columns == (column,) for entry in contract)


def _shape_errors(document: object) -> Iterator[tuple[str, str]]:
    if not isinstance(document, dict):
        yield "contract", "a Great Expectations suite as a JSON object (apply sends the file's content)"
        return
    if not isinstance(document.get("name"), str) or not document["name"]:
        yield "name", "the suite's name, a text"
    expectations = document.get("expectations")
    if not isinstance(expectations, list) or not 1 <= len(expectations) <= MAX_EXPECTATIONS:
        yield "expectations", f"a list of 1 to {MAX_EXPECTATIONS} expectations"


def _entry_errors(entry: object) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        yield "", "an object with type, kwargs and severity"
        return
    if entry.get("severity") not in (None, *_SEVERITIES):
        yield ".severity", f"one of {', '.join(_SEVERITIES)}, and not {entry['severity']!r}"
    kind, kwargs = entry["type"], entry.get("kwargs") or {}
    if kind in ELSEWHERE:
        yield ".type", f"{kind} needs a SQL database; a batch is a file"
    elif kind not in ARGUMENTS:
        yield ".type", f"{kind!r} is not an expectation of Great Expectations 1.24{_meant(kind, ARGUMENTS)}"
    elif not isinstance(kwargs, dict):
        yield ".kwargs", "an object"
    else:
        yield from _argument_errors(kind, kwargs)


def _argument_errors(kind: str, kwargs: Arguments) -> Iterator[tuple[str, str]]:
    required, optional = ARGUMENTS[kind]
    for name in kwargs:
        if name not in (*required, *optional, *ALWAYS):
            yield f".kwargs.{name}", f"{kind} has no such argument{_meant(name, (*required, *optional))}"
    for name in required:
        if name not in kwargs:
            yield f".kwargs.{name}", f"{kind} needs it"
    for name in ("column", "column_A", "column_B"):
        if name in kwargs and not isinstance(kwargs[name], str):
            yield f".kwargs.{name}", "the name of a column"
    listed = kwargs.get("column_list")
    if listed is not None and not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
        yield ".kwargs.column_list", "a list of column names"
    mostly = kwargs.get("mostly")
    if mostly is not None and not (isinstance(mostly, int | float) and 0 <= mostly <= 1):
        yield ".kwargs.mostly", "a share from 0 to 1"


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _key(entry: Document) -> str:
    meta = entry.get("meta")
    named = meta.get("key") if isinstance(meta, dict) else None
    if isinstance(named, str) and named:
        return named[:200]
    kwargs = entry.get("kwargs") or {}
    short = str(entry["type"]).removeprefix("expect_").replace("_", "-")
    subject = kwargs.get("column") or kwargs.get("column_A") or ",".join(map(str, kwargs.get("column_list") or []))
    return f"{subject}:{short.removeprefix('column-')}"[:200] if subject else short


def _unique(key: str, taken: set[str]) -> str:
    candidate, number = key, 1
    while candidate in taken:
        number += 1
        candidate = f"{key}#{number}"
    taken.add(candidate)
    return candidate
