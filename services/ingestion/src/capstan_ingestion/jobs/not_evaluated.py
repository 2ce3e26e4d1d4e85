"""Why an expectation could not be evaluated on a table, and what to write instead."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from capstan_ingestion.domain.advice import advice_for, is_number
from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.media.types import is_nested, type_name

_LOOKED_AT: Final = 10_000
"""Values that are looked at for an example; the others are of the same column."""

_OF_TEXT: Final = ("_regex", "_like_pattern", "_strftime_format", "_json_schema", "_parseable", "_lengths_")
_HASHED: Final = ("unique", "in_set", "distinct", "equal_set", "contain_set", "most_common")


def remedy(expectation: Expectation, table: pa.Table) -> str:
    """What to change in the dataset or in the contract."""
    absent = [name for name in expectation.columns if name not in table.column_names]
    if absent:
        return f"there is no column {absent[0]!r}; columns are {', '.join(table.column_names[:20])}"
    for name in expectation.columns:
        remedy_of_column = _about(expectation, name, table[name])
        if remedy_of_column:
            return remedy_of_column
    return "change its arguments, or take it out of the contract"


def _about(expectation: Expectation, name: str, column: pa.ChunkedArray) -> str | None:
    kind = type_name(column.type)
    wants_text = any(word in expectation.type for word in _OF_TEXT)
    if kind == "null":
        return f"{name} has no value in any row; declare its type under `columns`, or drop the expectation"
    if is_nested(kind) or kind in {"binary", "time"}:
        hashed = (
            "rows of it cannot be compared"
            if any(word in expectation.type for word in _HASHED)
            else "it is stored as it is"
        )
        return f"{name} is {kind}: {hashed}; expect only of nulls here, or give the dataset a plain column of it"
    if wants_text and kind != "string":
        return f"{name} is {kind}, and the expectation reads text; declare `columns: {{{name}: string}}`"
    if kind == "string" and not wants_text:
        return _text_for_a_number(name, column)
    if kind in {"timestamp", "date"}:
        return f"{name} is a {kind}: write bounds as ISO 8601 texts, and sums or deviations of a number column"
    return None


def _text_for_a_number(name: str, column: pa.ChunkedArray) -> str | None:
    """The first value that is no number, where others are: that one makes the whole column text."""
    values = [str(value) for value in column.slice(0, _LOOKED_AT).to_pylist() if value is not None]
    bad = next((value for value in values if not is_number(value)), None)
    if bad is None:
        return f"{name} is text; declare `columns: {{{name}: float64}}` to have its numbers read as such"
    return f"{name} is text, since {bad[:60]!r} is no number: {advice_for(bad, 'float64')}, or expect a regex of it"
