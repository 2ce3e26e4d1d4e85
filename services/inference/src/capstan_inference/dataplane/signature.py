"""A model's request columns: their types, and the event time of each row."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from capstan_formats.instants import NULL_US, BadValueError, instant_us, type_name
from capstan_inference.dataplane.bodies import EVENT_TIME, Batch
from capstan_inference.dataplane.request_errors import wrong
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.signature import REQUEST

_NONE: Final = type(None)
_TYPES: Final[dict[str, frozenset[type]]] = {
    "float64": frozenset({int, float, _NONE}),
    "int64": frozenset({int, _NONE}),
    "string": frozenset({str, _NONE}),
    "bool": frozenset({bool, _NONE}),
    "timestamp": frozenset({str, _NONE}),
}
_WORDS: Final = {
    "float64": "a number or null",
    "int64": "a 64-bit integer or null",
    "string": "a string or null",
    "bool": "true, false or null",
    "timestamp": "an ISO-8601 string with an offset or null",
}
#: Nobody can tell seconds, milliseconds and microseconds apart for certain, and a wrong guess is a wrong prediction.
_SEND_ISO: Final = 'Send ISO 8601 with an offset, like "2013-01-01T06:00:00Z" (pandas: to_json(date_format="iso")).'
_INT64_MAX: Final = (1 << 63) - 1
_INT64_MIN: Final = -(1 << 63)

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(slots=True)
class Rows:
    """Checked rows: what was sent, what the model reads of it (timestamps in microseconds), and event times.

    `arrays` has columns of several rows as float64 or int64, NaN where null, and `instants` timestamps as
    datetime64[us], NaT where null: converted once, for the model's matrix and for the log.
    """

    count: int
    sent: dict[str, list[Any]]
    values: dict[str, list[Any]]
    event_times: list[int]
    arrays: Arrays = field(default_factory=dict)
    instants: Arrays = field(default_factory=dict)


class Signature:
    """The request columns of one model, in order."""

    def __init__(self, header: ModelHeader, event_time_column: str | None) -> None:
        fields = [field for field in header.signature.inputs if field.source == REQUEST]
        self.names = tuple(field.name for field in fields)
        self._typed = [(f.name, f.dtype, _TYPES[f.dtype]) for f in fields]
        self._times = {field.name for field in fields if field.dtype == "timestamp"}
        self._event_time_column = event_time_column

    def read(self, batch: Batch) -> Rows:
        """Checks the types of a batch; RequestError names the first cell that does not fit."""
        sent, many = batch.columns, batch.rows > 1
        arrays, instants = Arrays(), Arrays()
        values = dict(sent)
        for name, dtype, allowed in self._typed:
            column = sent[name]
            kinds = set(map(type, column)) if many else {type(column[0])}
            if not kinds <= allowed:
                values[name] = column = _integers(batch, name, dtype, column)
            if dtype == "timestamp":
                values[name] = moments = _moments(batch, name, column)
                if many:
                    instants[name] = _instants(moments)
            elif dtype == "int64":
                _within_int64(batch, name, column)
                if many and None not in column:
                    arrays[name] = np.array(column, dtype=np.int64)
            elif many and dtype == "float64":
                _add_floats(arrays, name, column, kinds)
        return Rows(batch.rows, sent, values, self._event_times(batch, values), arrays, instants)

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
            own = values[column] if column in self._times else _moments(batch, column, values[column])
            times = [other if own_time is None else own_time for own_time, other in zip(own, times, strict=True)]
        return [fallback if moment is None else moment for moment in times]


def _add_floats(arrays: Arrays, name: str, column: list[Any], kinds: set[type]) -> None:
    """None becomes NaN. An integer beyond float64 stays in its list: preprocessing names its place."""
    if kinds == {float}:  # a third of the time that numpy takes, which looks at each type
        arrays[name] = np.frombuffer(struct.pack(f"{len(column)}d", *column))
        return
    with suppress(OverflowError):
        arrays[name] = np.array(column, dtype=np.float64)


def _instants(moments: list[int | None]) -> npt.NDArray[np.datetime64]:
    return np.array([NULL_US if us is None else us for us in moments], dtype=np.int64).view("datetime64[us]")


def _integers(batch: Batch, name: str, dtype: str, column: list[Any]) -> list[Any]:
    """Whole floats where integers are needed (pandas writes them so once a column has nulls); else a refusal."""
    allowed, result = _TYPES[dtype], list(column)
    for row, value in enumerate(column):
        if type(value) in allowed:
            continue
        if dtype != "int64" or type(value) is not float or not value.is_integer():
            rule = f"{_WORDS[dtype]} is needed, not {type_name(value)}"
            raise wrong(batch.place(name, row), rule, _SEND_ISO if dtype == "timestamp" else "")
        result[row] = int(value)
    return result


def _within_int64(batch: Batch, name: str, column: list[Any]) -> None:
    numbers = [value for value in column if value is not None]
    if not numbers or (min(numbers) >= _INT64_MIN and max(numbers) <= _INT64_MAX):
        return
    for row, value in enumerate(column):
        if value is not None and not _INT64_MIN <= value <= _INT64_MAX:
            raise wrong(batch.place(name, row), "the integer does not fit into 64 bits")


def _moments(batch: Batch, name: str, column: list[Any]) -> list[int | None]:
    try:
        return [_iso_us(value) for value in column]
    except BadValueError:
        # Once more for the place, which nobody needs as long as all is well.
        return [_moment(batch.place(name, row), value) for row, value in enumerate(column)]


def _moment(place: str, value: Any) -> int | None:
    try:
        return _iso_us(value)
    except BadValueError as error:
        raise wrong(place, error.rule, "" if type(value) is str else _SEND_ISO) from None


def _iso_us(value: Any) -> int | None:
    if value is None or type(value) is str:
        return instant_us(value)
    raise BadValueError(f"{_WORDS['timestamp']} is needed, not {type_name(value)}")
