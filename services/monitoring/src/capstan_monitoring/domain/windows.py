"""The grid of event-time windows: [origin + k * length, origin + (k + 1) * length)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Grid:
    """Windows of one length from one origin."""

    origin: datetime
    length: timedelta

    @classmethod
    def starting_at(cls, first: datetime, length: timedelta) -> Grid:
        """The grid whose first window begins with the UTC day of the first prediction."""
        return cls(first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0), length)

    def start_of(self, moment: datetime) -> datetime:
        """Start of the window that holds `moment`."""
        return self.origin + ((moment - self.origin) // self.length) * self.length

    def end_of(self, start: datetime) -> datetime:
        """End of the window that begins at `start`; the first instant that is not in it."""
        return start + self.length


def report_path(project: str, loop: str, start: datetime) -> str:
    """Where the HTML report of a window is served."""
    moment = start.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"/v1/projects/{project}/monitors/{loop}/windows/{moment}/report"
