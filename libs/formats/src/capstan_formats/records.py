"""One record of the prediction log: an answered request as columns. All times are epoch microseconds in UTC.

record = 16 bytes first id, u32 rows, i64 answered at, u32 schema bytes, u32 columns; i64 event time of each row;
         the schema as JSON; one tag byte per column; the columns (`record_columns`); all little-endian but the id
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, cast

import numpy as np
import numpy.typing as npt

from capstan_formats.id_range import IdRange, IdRangeError
from capstan_formats.record_columns import Column, RecordError, Values, decode_column, encode_column
from capstan_formats.record_schema import FEATURES, ColumnPath, RecordSchema

Times = npt.NDArray[np.int64]
_HEAD: Final = struct.Struct("<16sIqII")
_TIMES: Final = np.dtype("<i8")


class PredictionRow(TypedDict):
    """One prediction of a request, with everything that it was made from."""

    prediction_id: str
    event_time: int
    #: Key columns by name, as the request gave them; empty where nothing was looked up.
    entity: dict[str, Any]
    #: Request columns by name.
    inputs: dict[str, Any]
    #: Columns of the model matrix by name, after preprocessing; None where the model saw NaN.
    features: dict[str, float | None]
    #: Event time of the value read, per view; None where the view had none for this row.
    feature_times: dict[str, int | None]
    #: Status per view: present, expired, missing, unknown (that far back).
    feature_status: dict[str, str]
    #: What each view was asked by: key -> value, per view; timestamps as ISO-8601 text.
    lookup_keys: dict[str, dict[str, Any]]
    #: Values looked up, by column, before preprocessing.
    looked_up: dict[str, Any]
    #: What the model answered, by output: a number, a word, or a list of numbers.
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordHead:
    """What is known of a record without reading its columns: the ids and event times of its rows, when it was made."""

    ids: IdRange
    answered_at: int
    event_times: Times


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One request: what it was answered by, and its columns by their place."""

    head: RecordHead
    schema: RecordSchema
    columns: Mapping[ColumnPath, Column]

    @property
    def rows(self) -> int:
        """How many predictions."""
        return self.head.ids.count

    def section(self, name: str) -> dict[str, Column]:
        """Columns of one section, by name; views' keys as `view.key`."""
        return {".".join(path[1:]): column for path, column in self.columns.items() if path[0] == name}

    def row(self, index: int) -> PredictionRow:
        """One prediction as an object."""
        tree: dict[str, Any] = {name: {} for name in PredictionRow.__annotations__}
        for path, column in self.columns.items():
            place = tree
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = column.at(index)
        if (FEATURES,) in self.columns:
            tree[FEATURES] = dict(zip(self.schema.features, tree[FEATURES], strict=True))
        inputs = tree["inputs"]
        tree["entity"] = {name: inputs[name] for name in self.schema.entity if name in inputs}
        tree["prediction_id"] = self.head.ids.text(index)
        tree["event_time"] = int(self.head.event_times[index])
        return cast(PredictionRow, tree)

    def all_rows(self) -> Iterator[PredictionRow]:
        """Each prediction as an object, in order: for people and tests; work on many rows takes the columns."""
        return map(self.row, range(self.rows))


def encode_record(
    schema: RecordSchema, ids: IdRange, answered_at: int, event_times: Sequence[int] | Times, columns: Sequence[Values]
) -> bytes:
    """The bytes of a record; `columns` in the order of the schema, one value per row each.

    RecordError where a number of values is not that of the ids, or of columns not that of the schema.
    """
    rows, names = ids.count, schema.to_bytes()
    if len(columns) != len(schema.columns):
        raise RecordError(f"{len(columns)} columns for a schema of {len(schema.columns)}")
    if {len(event_times), *map(len, columns)} != {rows}:
        raise RecordError(f"each column needs {rows} values")
    tags, data = bytearray(), []
    for values in columns:
        tag, encoded = encode_column(values)
        tags.append(tag)
        data.append(encoded)
    times = struct.pack(f"<{rows}q", *event_times)
    head = _HEAD.pack(ids.to_bytes(), rows, answered_at, len(names), len(columns))
    return b"".join((head, times, names, tags, *data))


def decode_head(payload: bytes) -> RecordHead:
    """Ids and times. RecordError for bytes that are no record."""
    first, rows, answered_at, _, _ = _head(payload)
    if len(payload) < _HEAD.size + 8 * rows:
        raise RecordError(f"a record of {rows} rows ends after {len(payload)} bytes")
    try:
        ids = IdRange.from_bytes(first, rows)
    except IdRangeError as error:
        raise RecordError(f"a record's ids: {error}") from None
    return RecordHead(ids, answered_at, np.frombuffer(payload, dtype=_TIMES, count=rows, offset=_HEAD.size))


def decode_record(payload: bytes) -> PredictionRecord:
    """What `encode_record` wrote. RecordError for anything else."""
    head = decode_head(payload)
    _, rows, _, schema_size, count = _head(payload)
    at = _HEAD.size + 8 * rows

    def take(size: int) -> bytes:
        nonlocal at
        if len(payload) - at < size:
            raise RecordError(f"a record ends {size - len(payload) + at} bytes early")
        at += size
        return payload[at - size : at]

    schema = RecordSchema.from_bytes(take(schema_size))
    if len(schema.columns) != count:
        raise RecordError(f"a record of {count} columns with a schema of {len(schema.columns)}")
    columns = {path: decode_column(tag, rows, take) for path, tag in zip(schema.columns, take(count), strict=True)}
    if at != len(payload):
        raise RecordError(f"{len(payload) - at} bytes after the last column")
    matrix = columns.get((FEATURES,))
    if matrix is not None and np.shape(matrix.values) != (rows, len(schema.features)):
        raise RecordError(f"the model matrix does not have {len(schema.features)} columns")
    return PredictionRecord(head, schema, columns)


def _head(payload: bytes) -> tuple[bytes, int, int, int, int]:
    if len(payload) < _HEAD.size:
        raise RecordError(f"a record has at least {_HEAD.size} bytes, not {len(payload)}")
    return _HEAD.unpack_from(payload)
