"""Hand the windows that time has closed to the judge: one at a time per loop, in the order of time."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from capstan_monitoring.domain.window import WINDOW, WindowState
from capstan_monitoring.domain.windows import watermark
from capstan_monitoring.domain.work import SegmentToIngest, WindowToJudge
from capstan_monitoring.tables import MonitorRow, WindowRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


class CloseWindows:
    """Runs in the transactions of whoever moves time, or ends what windows wait for."""

    def __init__(self, work: WorkQueue, lateness: timedelta) -> None:
        self._work, self._lateness = work, lateness

    async def __call__(self, session: WriteSession, monitor: MonitorRow) -> None:
        """Enqueue the oldest closed window.

        Not while one of this loop is being judged, or a segment of it waits to be taken in: their ends call this again.
        """
        until = watermark(monitor.newest, monitor.declared, self._lateness)
        if until is None:
            return
        await session.flush()
        project, loop = monitor.project, monitor.loop
        if await self._work.open_items(session, SegmentToIngest, project=project, key_prefix=f"{loop}:", limit=1):
            return
        of_loop = (WindowRow.project == project, WindowRow.loop == loop)
        evaluating = select(WindowRow.start).where(*of_loop, WindowRow.state == WindowState.EVALUATING)
        if await session.scalar(evaluating.limit(1)) is not None:
            return
        due = select(WindowRow).where(*of_loop, WindowRow.state == WindowState.OPEN, WindowRow.end <= until)
        window = await session.scalar(due.order_by(WindowRow.start, WindowRow.version).limit(1))
        if window is not None:
            window.state = WINDOW.move(window.state, WindowState.EVALUATING)
            await self._work.add(session, WindowToJudge(loop, window.start, window.version), project=project)
