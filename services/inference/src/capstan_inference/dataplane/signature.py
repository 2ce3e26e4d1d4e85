"""A model's request columns: their types, and the event time of each row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from capstan_formats.instants import BadValueError, instant_us, type_name
from capstan_inference.dataplane.bodies import EVENT_TIME, Batch
from capstan_inference.dataplane.request_errors import wrong
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.signature import REQUEST

_NONE: Final = type(None)
_TYPES: Final[dict[str, frozenset[type]]] = {
    "float64": frozenset({int, float, _NONE}),
    "int64": frozenset({int, _NONE}),
    "string": frozenset({str, _NONE}),
    "timestamp": frozenset({int, str, _NONE}),
}
_WORDS: Final = {
    "float64": "a number or null",
    "int64": "a 64-bit integer or null",
    "string": "a string or null",
    "timestamp": "an ISO-8601 string with an offset, epoch microseconds or null",
}
_INT64_MAX: Final = (1 << 63) - 1
_INT64_MIN: Final = -(1 << 63)


@dataclass(slots=True)
class Rows:
    """Checked rows: what was sent, what the model reads of it (timestamps in microseconds), and event times."""

    count: int
    sent: dict[str, list[Any]]
    values: dict[str, list[Any]]
    event_times: list[int]
    instances: list[dict[str, Any]] | None = None


class Signature:
    """The request columns of one model, in order."""

    def __init__(self, header: ModelHeader, event_time_column: str | None) -> None:
        fields = [field for field in header.signature.inputs if field.source == REQUEST]
        self.names = tuple(field.name for field in fields)
        self._typed = [(f.name, f.dtype, _TYPES[f.dtype]) for f in fields]
        self._event_time_column = event_time_column

    def read(self, batch: Batch) -> Rows:
        """Checks the types of a batch; RequestError names the first cell that does not fit."""
        sent = batch.columns
        values = dict(sent)
        for name, dtype, allowed in self._typed:
            column = sent[name]
            for value in column:
                if type(value) not in allowed:
                    values[name] = column = _integers(batch, name, dtype, column)
                    break
            if dtype == "timestamp":
                values[name] = _moments(batch, name, column)
            elif dtype == "int64":
                _within_int64(batch, name, column)
        return Rows(batch.rows, sent, values, self._event_times(batch, values), batch.instances)

    def _event_times(self, batch: Batch, values: dict[str, list[Any]]) -> list[int]:
        """Per row: the column of the label's time, else the row's own event_time, else the request's, else now."""
        fallback = _moment("event_time", batch.event_time)
        if fallback is None:
            fallback = time.time_ns() // 1000
        times: list[int | None] = [None] * batch.rows
        if batch.event_times is not None:
            times = _moments(batch, EVENT_TIME, batch.event_times)
        column = self._event_time_column
        if column is not None and column in values:
            own = _moments(batch, column, values[column])
            times = [other if mine is None else mine for mine, other in zip(own, times, strict=True)]
        return [fallback if one is None else one for one in times]


def _integers(batch: Batch, name: str, dtype: str, column: list[Any]) -> list[Any]:
    """Whole floats where integers are needed (pandas writes them so once a column has nulls); else a refusal."""
    allowed, result = _TYPES[dtype], list(column)
    for row, value in enumerate(column):
        if type(value) in allowed:
            continue
        if dtype != "int64" or type(value) is not float or not value.is_integer():
            raise wrong(batch.place(name, row), f"{_WORDS[dtype]} is needed, not {type_name(value)}")
        result[row] = int(value)
    return result


def _within_int64(batch: Batch, name: str, column: list[Any]) -> None:
    for row, value in enumerate(column):
        if value is not None and not _INT64_MIN <= value <= _INT64_MAX:
            raise wrong(batch.place(name, row), "the integer does not fit into 64 bits")


def _moments(batch: Batch, name: str, column: list[Any]) -> list[int | None]:
    result: list[int | None] = []
    for row, value in enumerate(column):
        result.append(
            value if type(value) is int and -1 << 50 < value < 1 << 52 else _moment(batch.place(name, row), value)
        )
    return result


def _moment(place: str, value: Any) -> int | None:
    try:
        return instant_us(value)
    except BadValueError as error:
        raise wrong(place, error.rule) from None
