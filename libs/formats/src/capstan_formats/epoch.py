"""Points in time as epoch microseconds and back. Without numpy: processes that load none convert times, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def datetime_of(us: int) -> datetime:
    """Epoch microseconds as an aware UTC datetime. OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=us)


def us_of(moment: datetime) -> int:
    """An aware datetime as epoch microseconds; TypeError for one without a zone."""
    return (moment - EPOCH) // MICROSECOND
