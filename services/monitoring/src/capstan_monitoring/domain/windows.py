"""The grid of event-time windows: [origin + k * length, origin + (k + 1) * length) for every whole k.

Tumbling windows as in the Dataflow model (Akidau et al., VLDB 2015): where they begin is known before any row is there,
so that the order in which rows arrive changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Grid:
    """Windows of one length from one origin."""

    origin: datetime
    length: timedelta

    def start_of(self, moment: datetime) -> datetime:
        """Start of the window that holds `moment`."""
        return self.origin + ((moment - self.origin) // self.length) * self.length

    def end_of(self, start: datetime) -> datetime:
        """End of the window that begins at `start`; the first instant that is not in it."""
        return start + self.length


def watermark(newest: datetime | None, declared: datetime | None, lateness: timedelta) -> datetime | None:
    """The event time before which no more predictions are awaited: `lateness` behind the newest one, or as declared."""
    seen = newest - lateness if newest is not None else None
    return max((moment for moment in (seen, declared) if moment is not None), default=None)


def report_path(project: str, loop: str, start: datetime) -> str:
    """Where the HTML report of a window is served."""
    moment = start.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"/v1/projects/{project}/monitors/{loop}/windows/{moment}/report"
