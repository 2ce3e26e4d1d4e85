"""The entities of an online read: columns of JSON values, checked and turned into keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from capstan_contracts.loop import FeatureServiceSpec, LookupSpec, ViewSpec
from capstan_feature_store.domain.derived import floor_hour, source_column
from capstan_formats.epoch import us_of

Breach = tuple[str, str]
_INT64: Final = range(-(1 << 63), 1 << 63)
MAX_BREACHES: Final = 20


class BadEntities(ValueError):
    """Entities that break rules."""

    def __init__(self, breaches: list[Breach]) -> None:
        super().__init__("; ".join(f"{place}: {rule}" for place, rule in breaches))
        self.breaches = breaches


def key_value(value: Any, dtype: str) -> Any:
    """A JSON value as a key or request value (timestamps as epoch microseconds); ValueError says the rule."""
    if value is None:
        return None
    if dtype == "timestamp":
        return _timestamp(value)
    if not _fits(value, dtype):
        raise ValueError(f"{_RULES[dtype]}, not {value!r:.64}")
    return value


def _fits(value: Any, dtype: str) -> bool:
    if dtype == "string":
        return isinstance(value, str)
    if dtype == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if dtype == "int64":
        return isinstance(value, int) and value in _INT64
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an integer beyond every double
        return False


_RULES: Final = {
    "string": "a string",
    "bool": "true or false",
    "int64": "an integer of 64 bits",
    "float64": "a finite number",
}


def _timestamp(value: Any) -> int:
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError(f"an ISO 8601 instant with a zone, not {value!r:.64}")
    return us_of(instant)


def read_columns(
    service: FeatureServiceSpec, entities: Mapping[str, Sequence[Any]], *, max_rows: int
) -> tuple[int, dict[str, list[Any]]]:
    """(rows, checked columns with the derived ones); BadEntities names place and rule of what is wrong."""
    dtypes = {column.name: column.dtype for column in service.request}
    breaches: list[Breach] = [
        (f"entities.{name}", f"unknown; the request columns are {', '.join(dtypes)}")
        for name in entities
        if name not in dtypes
    ]
    breaches += [
        (f"entities.{name}", "is needed to look features up") for name in sorted(_needed(service) - set(entities))
    ]
    lengths = {name: len(values) for name, values in entities.items()}
    rows = max(lengths.values(), default=0)
    if len(set(lengths.values())) > 1:
        breaches.append(("entities", f"lists of one length, not {', '.join(f'{n}: {c}' for n, c in lengths.items())}"))
    if not 1 <= rows <= max_rows:
        breaches.append(("entities", f"1 to {max_rows} rows, not {rows}"))
    if breaches:
        raise BadEntities(breaches[:MAX_BREACHES])
    columns = {name: _column(name, values, dtypes[name], breaches) for name, values in entities.items()}
    if breaches:
        raise BadEntities(breaches)
    for name, expression in service.derived.items():
        source = columns.get(source_column(expression) or "")
        if source is not None:
            columns[name] = [None if value is None else floor_hour(value) for value in source]
    return rows, columns


def _column(name: str, values: Sequence[Any], dtype: str, breaches: list[Breach]) -> list[Any]:
    checked: list[Any] = []
    for row, value in enumerate(values):
        try:
            checked.append(key_value(value, dtype))
        except ValueError as error:
            if len(breaches) < MAX_BREACHES:
                breaches.append((f"entities.{name}[{row}]", str(error)))
    return checked


def _needed(service: FeatureServiceSpec) -> set[str]:
    """Request columns without which some view could not be read."""
    columns: set[str] = set()
    for lookup in service.lookups:
        for column in lookup.keys.values():
            columns.add(source_column(service.derived[column]) or column if column in service.derived else column)
    return columns


def keys_of(lookup: LookupSpec, view: ViewSpec, columns: Mapping[str, list[Any]]) -> list[tuple[Any, ...]]:
    """One key per row, parts in the order of the view's keys."""
    parts = [columns[lookup.keys[key.name]] for key in view.keys]
    return list(zip(*parts, strict=True))
