"""Arguments of expectations on instants and dates: ISO 8601 texts in a suite's JSON become what the engine compares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from capstan_ingestion.domain.contract import Arguments

ARGUMENTS: Final = ("min_value", "max_value", "value_set", "value")
"""Arguments that are compared with a column's values."""

_COMPARES: Final = ("_between", "_in_set", "_equal_set", "_contain_set")


class BadBound(ValueError):
    """A bound of a clock column that is no instant; the text says which and how to write it."""


def compared(kind: str, kwargs: Arguments, column_type: str | None) -> dict[str, object]:
    """The arguments with instants where texts stand for them; BadBound.

    `column_type` is the dataset's type of the expectation's column. Instants are UTC; a date is its midnight without a
    zone, as the engine holds it. A text without a zone is UTC. Lengths and counts are compared with numbers.
    """
    if column_type not in ("timestamp", "date") or not kind.endswith(_COMPARES):
        return dict(kwargs)
    if any(word in kind for word in ("length", "count", "proportion", "stdev", "sum_to")):
        return dict(kwargs)
    return {name: _of(name, value, column_type) if name in ARGUMENTS else value for name, value in kwargs.items()}


def _of(name: str, value: object, column_type: str) -> object:
    if isinstance(value, list):
        return [_of(name, item, column_type) for item in value]
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)  # type: ignore[arg-type]  # what is no text is a TypeError
    except (TypeError, ValueError):
        raise BadBound(
            f"{name} is {value!r}, and the column holds a {column_type}: write it as ISO 8601, "
            f"{'2013-01-31T05:15:00Z' if column_type == 'timestamp' else '2013-01-31'}"
        ) from None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return instant if column_type == "timestamp" else instant.replace(tzinfo=None, hour=0, minute=0, second=0)
