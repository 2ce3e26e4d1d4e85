"""Parts of local time (hour, weekday, ...) of one moment or of a column, in UTC or a fixed IANA zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from capstan_formats.epoch import MICROSECOND, datetime_of
from capstan_formats.instants import DAY_US, HOUR_US, NULL_US

Ints = npt.NDArray[np.int64]

#: What each part is of one local datetime. Monday is weekday 0; days of the year start at 1.
ONE: Final[dict[str, Callable[[datetime], int]]] = {
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "weekday": lambda moment: moment.weekday(),
    "month": lambda moment: moment.month,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
}


def _month(us: Ints) -> Ints:
    months: Ints = us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months % 12 + 1


def _day_of_year(us: Ints) -> Ints:
    days = us.astype("datetime64[us]").astype("datetime64[D]")
    first = days.astype("datetime64[Y]").astype("datetime64[D]")
    return days.astype(np.int64) - first.astype(np.int64) + 1


#: The same parts of a column of local microseconds. 1970-01-01 was a Thursday, weekday 3.
MANY: Final[dict[str, Callable[[Ints], Ints]]] = {
    "hour": lambda us: us // HOUR_US % 24,
    "minute": lambda us: us // 60_000_000 % 60,
    "weekday": lambda us: (us // DAY_US + 3) % 7,
    "month": _month,
    "day_of_year": _day_of_year,
}


def local_datetime(us: int, zone: ZoneInfo | None) -> datetime:
    """The moment on the clock of the zone (UTC where none)."""
    moment = datetime_of(us)
    return moment if zone is None else moment.astimezone(zone)


def local_us(us: Ints, zone: ZoneInfo | None) -> Ints:
    """Microseconds on the clock of the zone; NULL_US stays. Offsets are looked up once per hour, not per row."""
    if zone is None or len(us) == 0:
        return us
    hours, position = np.unique(us // HOUR_US, return_inverse=True)
    null_hour = NULL_US // HOUR_US
    first = np.array([0 if h == null_hour else _offset_us(int(h) * HOUR_US, zone) for h in hours], dtype=np.int64)
    last = np.array([0 if h == null_hour else _offset_us((int(h) + 1) * HOUR_US - 1, zone) for h in hours], np.int64)
    offsets = first[position]
    # An hour in which the clock changes is rare: there every row asks for itself.
    for row in np.flatnonzero((first != last)[position]):
        offsets[row] = _offset_us(int(us[row]), zone)
    return us + offsets


def _offset_us(us: int, zone: ZoneInfo) -> int:
    offset = datetime_of(us).astimezone(zone).utcoffset()
    if offset is None:
        raise ValueError(f"zone {zone.key} has no offset")
    return offset // MICROSECOND
