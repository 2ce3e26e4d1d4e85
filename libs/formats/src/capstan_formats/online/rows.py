"""The packed form of one row of an entity and of its key.

row = lead byte (`entities`); known_ts, event_ts (int64); null bitmap; every column of fixed width (float64, int64,
      timestamp: 8 bytes, bool: 1); strings (u32 length, UTF-8); all big-endian
key = per part: "s" u32 length UTF-8, or "i" int64, or "b" one byte; no two keys share their bytes
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

OnlineDType = Literal["float64", "int64", "string", "bool", "timestamp"]
ONLINE_DTYPES: Final = get_args(OnlineDType)
MAX_TEXT: Final = 1024 * 1024
_FIXED: Final = {"float64": "d", "int64": "q", "timestamp": "q", "bool": "?"}
_INT64: Final = range(-(1 << 63), 1 << 63)
_LENGTH: Final = struct.Struct(">I")


class OnlineCodecError(ValueError):
    """A value does not fit its column, a key part has no type, or packed bytes are damaged."""


@dataclass(frozen=True, slots=True)
class OnlineColumn:
    """A column of a view. Timestamps are epoch microseconds."""

    name: str
    dtype: OnlineDType


#: Event time, the time from which the row answers (both epoch microseconds), values by column.
UnpackedRow = tuple[int, int, dict[str, Any]]


class RowCodec:
    """Packs and unpacks rows of one schema."""

    def __init__(self, columns: Sequence[OnlineColumn]) -> None:
        self.columns = tuple(columns)
        self._names = [column.name for column in columns]
        self._bitmap_size = (len(columns) + 7) // 8
        fixed = [index for index, column in enumerate(columns) if column.dtype in _FIXED]
        self._fixed = fixed
        self._texts = [index for index, column in enumerate(columns) if column.dtype == "string"]
        # Names in the order in which unpacking meets the values: one zip then makes the row.
        self._packed_names = [self._names[index] for index in (*fixed, *self._texts)]
        layout = "".join(_FIXED[columns[index].dtype] for index in fixed)
        self._fixed_part = struct.Struct(f">Bqq{self._bitmap_size}s{layout}")
        self._no_nulls = bytes(self._bitmap_size)
        self._convert = [_CONVERTERS[column.dtype] for column in columns]

    def pack(self, event_ts: int, known_ts: int, values: Sequence[Any], lead: int = 0) -> bytes:
        """One row, values in schema order; None and NaN are null. OnlineCodecError names the column."""
        if len(values) != len(self.columns):
            raise OnlineCodecError(f"{len(values)} values for {len(self.columns)} columns")
        cells: list[Any] = []
        bitmap = 0
        for index, value in enumerate(values):
            try:
                cell = None if value is None else self._convert[index](value)
            except OnlineCodecError as error:
                raise OnlineCodecError(f"column {self._names[index]!r}: {error}") from None
            cells.append(cell)
            if cell is None:
                bitmap |= 1 << index
        for time in (event_ts, known_ts):
            if type(time) is not int or time not in _INT64:
                raise OnlineCodecError("event_ts and known_ts are epoch microseconds")
        if known_ts < event_ts:
            raise OnlineCodecError("a row is not known before its event time")
        nulls = bitmap.to_bytes(self._bitmap_size, "little")
        fixed = (cells[index] or 0 for index in self._fixed)
        parts = [self._fixed_part.pack(lead, known_ts, event_ts, nulls, *fixed)]
        for index in self._texts:
            text = cells[index] or b""
            parts += (_LENGTH.pack(len(text)), text)
        return b"".join(parts)

    def unpack(self, data: bytes, start: int = 0, end: int | None = None) -> UnpackedRow:
        """What `pack` packed, or that part of `data`. OnlineCodecError for bytes of another schema or cut short."""
        try:
            _, known_ts, event_ts, nulls, *cells = self._fixed_part.unpack_from(data, start)
            position = start + self._fixed_part.size
            for _ in self._texts:
                (length,) = _LENGTH.unpack_from(data, position)
                position += _LENGTH.size + length
                cells.append(str(data[position - length : position], "utf-8"))
        except (struct.error, UnicodeDecodeError):
            raise OnlineCodecError("the packed row is damaged") from None
        if position != (len(data) if end is None else end):
            raise OnlineCodecError("the packed row is damaged")
        values = dict(zip(self._packed_names, cells, strict=True))
        if nulls != self._no_nulls:
            bitmap = int.from_bytes(nulls, "little")
            for index, name in enumerate(self._names):
                if bitmap >> index & 1:
                    values[name] = None
        return event_ts, known_ts, values


def encode_key(parts: Sequence[Any]) -> bytes:
    """The bytes of a key: strings, integers (timestamps as microseconds) and bools. OnlineCodecError otherwise."""
    pieces: list[bytes] = []
    for part in parts:
        if type(part) is str:
            text = _text(part)
            pieces += (b"s", _LENGTH.pack(len(text)), text)
        elif type(part) is int and part in _INT64:
            pieces.append(b"i" + part.to_bytes(8, "big", signed=True))
        elif type(part) is bool:
            pieces.append(b"b\x01" if part else b"b\x00")
        else:
            raise OnlineCodecError(f"a key part is a string, a 64-bit integer or a bool, not {part!r:.64}")
    if not pieces:
        raise OnlineCodecError("a key has at least one part")
    return b"".join(pieces)


def _float(value: Any) -> float | None:
    if type(value) not in (float, int):
        raise OnlineCodecError(f"a number is needed, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise OnlineCodecError("infinity is not stored")
    return None if math.isnan(number) else number


def _int(value: Any) -> int:
    if type(value) is not int or value not in _INT64:
        raise OnlineCodecError(f"a 64-bit integer is needed, not {value!r:.64}")
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise OnlineCodecError(f"a bool is needed, not {type(value).__name__}")
    return value


def _text(value: Any) -> bytes:
    if type(value) is not str:
        raise OnlineCodecError(f"a string is needed, not {type(value).__name__}")
    try:
        text = value.encode("utf-8")
    except UnicodeEncodeError:
        raise OnlineCodecError("the string is not valid Unicode") from None
    if len(text) > MAX_TEXT:
        raise OnlineCodecError(f"a string has at most {MAX_TEXT} bytes")
    return text


_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "float64": _float,
    "int64": _int,
    "timestamp": _int,
    "bool": _bool,
    "string": _text,
}


def column_from_json(entry: Any) -> OnlineColumn:
    """{name, dtype} as a column. OnlineCodecError otherwise."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or entry.get("dtype") not in ONLINE_DTYPES:
        raise OnlineCodecError(f"a column has a name and a dtype of {', '.join(ONLINE_DTYPES)}")
    return OnlineColumn(entry["name"], cast(OnlineDType, entry["dtype"]))
