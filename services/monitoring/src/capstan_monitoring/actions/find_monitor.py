"""Look a monitor up."""

from __future__ import annotations

from capstan_monitoring.tables import MonitorRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import NotFound


async def monitor_row(session: ReadSession, project: str, loop: str) -> MonitorRow:
    """The monitor of a loop; NotFound."""
    row = await session.get(MonitorRow, (project, loop))
    if row is None:
        raise NotFound(
            f"no monitor of a loop {loop} in project {project}", hint="A monitor is made by applying a loop."
        )
    return row
