"""Somebody declares that all predictions before an event time have been made."""

from __future__ import annotations

from datetime import datetime, timedelta

from capstan_monitoring.actions.close_windows import close_windows
from capstan_monitoring.actions.find_monitor import monitor_row
from capstan_servicekit.runtime import Kit


class AdvanceWatermark:
    """Time never goes back: an earlier declaration changes nothing."""

    def __init__(self, kit: Kit, lateness: timedelta) -> None:
        self._kit, self._lateness = kit, lateness

    async def __call__(self, project: str, loop: str, event_time: datetime) -> None:
        """Declare, and close windows."""
        async with self._kit.database.write() as session:
            row = await monitor_row(session, project, loop)
            row.declared = max(row.declared or event_time, event_time)
            await close_windows(session, self._kit.work, row, self._lateness)
