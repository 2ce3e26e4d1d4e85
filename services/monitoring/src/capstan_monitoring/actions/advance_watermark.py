"""Somebody declares that all predictions before an event time have been made."""

from __future__ import annotations

from datetime import datetime

from capstan_monitoring.actions.close_windows import CloseWindows
from capstan_monitoring.tables import monitor_row
from capstan_servicekit.db.session import Database


class AdvanceWatermark:
    """Time never goes back: an earlier declaration changes nothing."""

    def __init__(self, database: Database, close: CloseWindows) -> None:
        self._database, self._close = database, close

    async def __call__(self, project: str, loop: str, event_time: datetime) -> None:
        """Declare, and close windows."""
        async with self._database.write() as session:
            row = await monitor_row(session, project, loop)
            row.declared = max(row.declared or event_time, event_time)
            await self._close(session, row)
