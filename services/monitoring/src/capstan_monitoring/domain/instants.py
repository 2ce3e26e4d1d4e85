"""Points in time as epoch microseconds, the unit of logs and jobs, and back."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(value: object) -> int | None:
    """A point in time as epoch microseconds, from ISO 8601 or a datetime (UTC where no zone is given) or a number.

    None for anything that is no point in time.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return micros_of(moment) if isinstance(moment, datetime) else None
    except (ValueError, OverflowError):
        return None


def instant(us: int) -> datetime:
    """Epoch microseconds as a UTC datetime."""
    return _EPOCH + timedelta(microseconds=us)


def micros_of(moment: datetime) -> int:
    """A datetime (UTC where no zone is given) as epoch microseconds."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC) - _EPOCH) // _MICROSECOND
