"""Somebody declares that all predictions before an event time have been made."""

from __future__ import annotations

from datetime import datetime, timedelta

from capstan_monitoring.actions.close_windows import close_windows
from capstan_monitoring.tables import monitor_row
from capstan_servicekit.db.session import Database
from capstan_servicekit.work.queue import WorkQueue


class AdvanceWatermark:
    """Time never goes back: an earlier declaration changes nothing."""

    def __init__(self, database: Database, work: WorkQueue, lateness: timedelta) -> None:
        self._database, self._work = database, work
        self._lateness = lateness

    async def __call__(self, project: str, loop: str, event_time: datetime) -> None:
        """Declare, and close windows."""
        async with self._database.write() as session:
            row = await monitor_row(session, project, loop)
            row.declared = max(row.declared or event_time, event_time)
            await close_windows(session, self._work, row, self._lateness)
