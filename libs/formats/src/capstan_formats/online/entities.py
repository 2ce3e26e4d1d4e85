"""All rows of one entity in one value, and the choice among them by the moment that is asked for.

    one row      = the row as it is packed, its lead byte 0, or 1 where older rows were left out
    several rows = lead byte 2 (3 where older ones were left out); u32 count; per row its known_ts (int64, ascending);
                   per row the offset of its end (u32); the packed rows

A row answers from its known_ts on until the next one does, so each moment has one row at most and a search by halves
finds it, of which alone is unpacked. Rows ahead of now take effect at their moment without anything being written.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from capstan_formats.online.rows import OnlineCodecError, OnlineColumn, RowCodec, UnpackedRow
from capstan_formats.online.store import OnlineStoreError

MAX_ENTITY: Final = 64 * 1024 * 1024
"""Bytes of all rows of one entity."""
_OLDER, _SEVERAL = 1, 2
_COUNT: Final = struct.Struct(">I")
_HEAD: Final = 1 + _COUNT.size
_MOMENT: Final = struct.Struct(">q")


class Status(StrEnum):
    """What a lookup found, judged at the event time that was asked for."""

    PRESENT = "present"
    EXPIRED = "expired"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """Unknown that far back: the moment lies before the oldest row that is kept, and older ones were left out."""


class Lookup(NamedTuple):
    """Values only where present; the event time of the row also where it has expired."""

    status: Status
    event_ts: int | None
    values: Mapping[str, Any] | None


MISSING: Final = Lookup(Status.MISSING, None, None)
UNKNOWN: Final = Lookup(Status.UNKNOWN, None, None)


class TimedRow(Protocol):
    """One row to pack."""

    @property
    def event_ts(self) -> int:
        """Since when it is true, in epoch microseconds."""
        ...

    @property
    def known_ts(self) -> int:
        """From when on it answers: never before it is true."""
        ...

    @property
    def values(self) -> Sequence[Any]:
        """In schema order."""
        ...


class EntityCodec:
    """Packs the rows of an entity, and looks one of them up."""

    def __init__(self, columns: Sequence[OnlineColumn]) -> None:
        self._rows = RowCodec(columns)

    def pack(self, rows: Sequence[TimedRow], *, older: bool = False) -> bytes:
        """The value of an entity: at least one row, the one that is known first at the front.

        `older` says that rows known before them were left out. OnlineCodecError names what does not fit.
        """
        pack = self._rows.pack
        if len(rows) == 1:
            (row,) = rows
            return pack(row.event_ts, row.known_ts, row.values, int(older))
        moments = [row.known_ts for row in rows]
        if not rows or any(moment >= next_ for moment, next_ in zip(moments, moments[1:], strict=False)):
            raise OnlineCodecError("rows of an entity come in the order of known_ts, and no two share it")
        packed = [pack(row.event_ts, row.known_ts, row.values) for row in rows]
        end = _HEAD + len(rows) * (_MOMENT.size + 4)
        ends = []
        for data in packed:
            end += len(data)
            ends.append(end)
        if end > MAX_ENTITY:
            raise OnlineCodecError(
                f"the {len(rows)} rows of one entity take {end} bytes; at most {MAX_ENTITY} are kept"
            )
        head = struct.pack(f">BI{len(rows)}q{len(rows)}I", _SEVERAL | older, len(rows), *moments, *ends)
        return b"".join((head, *packed))

    def look_up(self, data: bytes, moment: int, ttl_us: int | None) -> Lookup:
        """The row that answers at `moment`, both ends of the ttl included. OnlineStoreError for damaged bytes."""
        try:
            lead = data[0]
            row = self._rows.unpack(data) if lead < _SEVERAL else self._pick(data, moment)
        except (OnlineCodecError, struct.error, IndexError):
            raise OnlineStoreError("the packed rows of an entity are damaged") from None
        if row is None or row[1] > moment:
            return UNKNOWN if lead & _OLDER else MISSING
        event_ts, _, values = row
        if ttl_us is not None and moment - event_ts > ttl_us:
            return Lookup(Status.EXPIRED, event_ts, None)
        return Lookup(Status.PRESENT, event_ts, values)

    def _pick(self, data: bytes, moment: int) -> UnpackedRow | None:
        """Of several rows the last one that is known at `moment`; None where that is before the first."""
        (count,) = _COUNT.unpack_from(data, 1)
        ends = _HEAD + count * _MOMENT.size
        start = ends + 4 * count
        if data[0] > _SEVERAL | _OLDER or count < 2 or start > len(data):
            raise OnlineCodecError("no entity has this form")
        known_rows = bisect_right(range(count), moment, key=lambda n: _MOMENT.unpack_from(data, _HEAD + 8 * n)[0])
        if known_rows == 0:
            return None
        (end,) = _COUNT.unpack_from(data, ends + 4 * (known_rows - 1))
        if known_rows > 1:
            (start,) = _COUNT.unpack_from(data, ends + 4 * (known_rows - 2))
        if end > len(data):
            raise OnlineCodecError("the row is cut short")
        return self._rows.unpack(data, start, end)


class OnlineEntity(NamedTuple):
    """What the store holds of one entity, still packed: which of its rows counts depends on the moment."""

    codec: EntityCodec
    data: bytes


def look_up(entity: OnlineEntity | None, event_time: int, ttl_s: int | None) -> Lookup:
    """What an entity answers at an event time (epoch microseconds); OnlineStoreError where its bytes are damaged.

    It is what the point-in-time join gives for a label of that time, as it was known then. Both ends of the ttl are
    included, and a row is not visible before its event time.
    """
    if entity is None:
        return MISSING
    return entity.codec.look_up(entity.data, event_time, None if ttl_s is None else ttl_s * 1_000_000)
