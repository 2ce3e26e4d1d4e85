"""Wall time behind a port, so that leases and retries can be tested without waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time in UTC. Event time never comes from here."""

    def now(self) -> datetime:
        """The present instant."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, UTC, microseconds."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Where the clock stands."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move forward by `step`."""
        self._now += step
