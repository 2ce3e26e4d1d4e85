"""Columns of a log record as bytes: one typed array each, nulls beside it, and JSON for what no array holds.

tag byte, then by its low bits: nothing (all null) | f64 | i64 | u8 (bool) | text | JSON | f64 matrix; little-endian.
text   = u32 bytes, u32 characters of each row, UTF-8 of all rows joined
JSON   = u32 bytes, a list with one value per row
matrix = u32 width, f64 rows by row
MASKED: one byte per row before the values, 1 where null. NAN_IS_NULL: a NaN stands for null, there is no mask.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NULL, FLOAT, INTEGER, BOOL, TEXT, JSON, MATRIX = range(7)
MASKED: Final = 0x80
NAN_IS_NULL: Final = 0x40
_NONE: Final = type(None)
_LENGTH: Final = struct.Struct("<I")
_TWO_LENGTHS: Final = struct.Struct("<II")
_DOUBLE: Final = struct.Struct("<d")
_LONG: Final = struct.Struct("<q")
_FLOATS: Final = np.dtype("<f8")
_INTEGERS: Final = np.dtype("<i8")

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Values = Sequence[Any] | npt.NDArray[Any]


class RecordError(ValueError):
    """Bytes that are no record, or values that no record can hold."""


@dataclass(frozen=True, slots=True)
class Column:
    """One value per row: an array of float64, int64 or bool, a float64 matrix [rows, width], or a list.

    `nulls` marks rows of an array without a value; a list has None there.
    """

    values: npt.NDArray[Any] | list[Any]
    nulls: Bools | None = None

    def tolist(self) -> list[Any]:
        """Plain Python values, None where null."""
        if isinstance(self.values, list):
            return self.values
        cells: list[Any] = self.values.tolist()
        if self.values.ndim == 2:
            return [[None if cell != cell else cell for cell in row] for row in cells]
        if self.nulls is not None:
            for row in np.flatnonzero(self.nulls).tolist():
                cells[row] = None
        return cells

    def at(self, row: int) -> Any:
        """One row's plain value."""
        if isinstance(self.values, list):
            return self.values[row]
        if self.nulls is not None and self.nulls[row]:
            return None
        cell = self.values[row]
        return [None if value != value else value for value in cell.tolist()] if self.values.ndim == 2 else cell.item()

    def numbers(self) -> Floats | None:
        """float64 with NaN where null, bools as 0 and 1; None for a column of anything but numbers."""
        if isinstance(self.values, list) or self.values.ndim != 1 or self.values.dtype.kind not in "fib":
            return None
        floats = self.values.astype(np.float64)
        if self.nulls is not None:
            floats[self.nulls] = np.nan
        return floats


def encode_column(values: Values) -> tuple[int, bytes]:
    """Tag and bytes of one column. A NaN in a float64 array is a null, in a list a value."""
    if isinstance(values, np.ndarray):
        return _encode_array(values)
    if len(values) == 1 and (encode := _ONE.get(type(values[0]))) is not None:
        return encode(values[0])
    kinds = set(map(type, values))
    if _NONE not in kinds:
        return _encode_list(values, kinds)
    kinds.discard(_NONE)
    if not kinds:
        return NULL, b""
    filler = _FILLERS.get(frozenset(kinds))
    if filler is None:
        return _encode_json(values)
    tag, data = _encode_list([filler if value is None else value for value in values], kinds)
    if tag == JSON:
        return _encode_json(values)
    return tag | MASKED, bytes([value is None for value in values]) + data


def decode_column(tag: int, rows: int, take: Callable[[int], bytes]) -> Column:
    """The column of a tag; `take` gives the next bytes. RecordError for what `encode_column` does not write."""
    kind = tag & ~(MASKED | NAN_IS_NULL)
    nulls = _bools(take(rows)) if tag & MASKED else None
    if kind == NULL:
        return Column([None] * rows)
    if kind in (FLOAT, INTEGER):
        values = np.frombuffer(take(8 * rows), dtype=_FLOATS if kind == FLOAT else _INTEGERS)
        return Column(values, np.isnan(values) if tag & NAN_IS_NULL and kind == FLOAT else nulls)
    if kind == BOOL:
        return Column(_bools(take(rows)), nulls)
    if kind == TEXT:
        return Column(_decode_text(rows, nulls, take))
    if kind == JSON:
        return Column(_decode_json(rows, take))
    if kind == MATRIX:
        width = _LENGTH.unpack(take(_LENGTH.size))[0]
        return Column(np.frombuffer(take(8 * rows * width), dtype=_FLOATS).reshape(rows, width))
    raise RecordError(f"a column of the unknown kind {tag}")


#: What stands in an array for a null that its mask marks, by the types of the column's other values.
_FILLERS: Final[dict[frozenset[type], Any]] = {
    frozenset({float}): 0.0,
    frozenset({int}): 0,
    frozenset({int, float}): 0,
    frozenset({bool}): False,
    frozenset({str}): "",
}


def _one_integer(value: int) -> tuple[int, bytes]:
    return (INTEGER, _LONG.pack(value)) if -1 << 63 <= value < 1 << 63 else _encode_json([value])


def _one_text(value: str) -> tuple[int, bytes]:
    text = value.encode()
    return TEXT, _TWO_LENGTHS.pack(len(text), len(value)) + text


#: The same bytes for a request of one row, which is the most frequent one, without its overhead for many.
_ONE: Final[dict[type, Callable[[Any], tuple[int, bytes]]]] = {
    float: lambda value: (FLOAT, _DOUBLE.pack(value)),
    int: _one_integer,
    str: _one_text,
    _NONE: lambda value: (NULL, b""),
}


def _encode_array(values: npt.NDArray[Any]) -> tuple[int, bytes]:
    kind = values.dtype.kind
    if values.ndim == 2 and kind == "f":
        return MATRIX, _LENGTH.pack(values.shape[1]) + values.astype(_FLOATS, order="C", copy=False).tobytes()
    if values.ndim == 1 and kind == "f":
        return FLOAT | NAN_IS_NULL, values.astype(_FLOATS, copy=False).tobytes()
    if values.ndim == 1 and kind == "i":
        return INTEGER, values.astype(_INTEGERS, copy=False).tobytes()
    return encode_column(values.tolist())


def _encode_list(values: Sequence[Any], kinds: set[type]) -> tuple[int, bytes]:
    """Values without nulls."""
    try:
        if kinds == {float}:
            return FLOAT, struct.pack(f"<{len(values)}d", *values)
        if kinds == {int}:
            return INTEGER, struct.pack(f"<{len(values)}q", *values)
        if kinds == {float, int}:
            packed = struct.pack(f"<{len(values)}d", *values)
            # Only where float64 holds each integer exactly: a key must come out as it went in.
            if np.frombuffer(packed, dtype=_FLOATS).tolist() == list(values):
                return FLOAT, packed
    except (struct.error, OverflowError):
        pass  # an integer beyond 64 bits: JSON has it whole
    if kinds == {bool}:
        return BOOL, bytes(values)
    if kinds == {str}:
        text = "".join(values).encode()
        lengths = struct.pack(f"<{len(values)}I", *map(len, values))
        return TEXT, _LENGTH.pack(len(text)) + lengths + text
    return _encode_json(values)


def _encode_json(values: Sequence[Any]) -> tuple[int, bytes]:
    written = json.dumps(list(values), separators=(",", ":")).encode()
    return JSON, _LENGTH.pack(len(written)) + written


def _bools(data: bytes) -> Bools:
    return np.asarray(np.frombuffer(data, dtype=np.uint8) != 0)


def _decode_text(rows: int, nulls: Bools | None, take: Callable[[int], bytes]) -> list[Any]:
    size = _LENGTH.unpack(take(_LENGTH.size))[0]
    lengths = np.frombuffer(take(4 * rows), dtype="<u4")
    try:
        text = take(size).decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"a column of text is not UTF-8: {error}") from None
    ends = [0, *np.cumsum(lengths, dtype=np.int64).tolist()]
    if ends[-1] != len(text):
        raise RecordError(f"a column of text has {len(text)} characters, its rows {ends[-1]}")
    cells: list[Any] = [text[start:end] for start, end in pairwise(ends)]
    if nulls is not None:
        for row in np.flatnonzero(nulls).tolist():
            cells[row] = None
    return cells


def _decode_json(rows: int, take: Callable[[int], bytes]) -> list[Any]:
    try:
        cells = json.loads(take(_LENGTH.unpack(take(_LENGTH.size))[0]))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"a column is not JSON: {error}") from None
    if not isinstance(cells, list) or len(cells) != rows:
        raise RecordError(f"a column of JSON is no list of {rows} values")
    return cells
