"""Have Evidently render the report of a judged window. A report that fails changes no verdict."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_monitoring.actions.close_windows import window_of
from capstan_monitoring.actions.find_monitor import monitor_row
from capstan_monitoring.domain.instants import micros
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.tables import PackageRow, PartialRow, WindowRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.errors import NotFound
from capstan_servicekit.runtime import Kit
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem


class RenderReport:
    """After the verdict, in the environment that has Evidently."""

    def __init__(self, kit: Kit, rows: int) -> None:
        self._kit, self._rows = kit, rows

    def work_kind(self) -> WorkKind:
        """Few attempts: people look at it, nothing waits for it."""
        return WorkKind(run=self.run, failed=self.failed, max_attempts=3)

    async def run(self, item: WorkItem, lease: Lease) -> None:
        """Render in a job, keep the HTML as an object."""
        async with self._kit.database.read() as session:
            window = await window_of(session, item.project, item.payload)
            part = MonitorPart.from_json((await monitor_row(session, item.project, window.loop)).part)
            package = await session.get(PackageRow, (item.project, window.package))
            segments = list((await session.scalars(_segments(window))).all())
        if package is None or package.training_set is None:
            raise NotFound(f"the training set of version {window.version} is not known")
        async with self._kit.jobs.scratch() as folder:
            given = await self._input(item.project, window, part, package.training_set, segments)
            found = await self._kit.jobs.run(
                "monitoring", "capstan_monitoring.jobs.report:run", given, scratch=folder, progress=lease.progress
            )
            digest = await self._kit.objects.put_file(item.project, folder / "report.html")
        async with lease.finish() as session:
            window = await window_of(session, item.project, item.payload)
            window.report = digest
            if found["left_out"]:
                _note(window, f"not in the report: {', '.join(found['left_out'])}")
            if found["shown_as_psi"]:
                _note(window, f"the report shows PSI, since Evidently has no {' and no '.join(found['shown_as_psi'])}")

    async def failed(self, session: WriteSession, item: WorkItem, problem: Problem) -> None:
        """The window says why it has no report."""
        window = await window_of(session, item.project, item.payload)
        _note(window, f"the report could not be made: {problem.detail or problem.title}")

    async def _input(
        self, project: str, window: WindowRow, part: MonitorPart, training_set: str, segments: list[str]
    ) -> dict[str, Any]:
        path = self._kit.objects.local_path
        return {
            "package": str(await path(project, window.package)),
            "training_set": str(await path(project, training_set)),
            "segments": [str(await path(project, segment)) for segment in segments],
            "start_us": micros(window.start),
            "end_us": micros(window.end),
            "version": window.version,
            "rows": self._rows,
            "drift": part.monitoring.drift.model_dump(mode="json", by_alias=True),
        }


def _segments(window: WindowRow) -> Any:
    return (
        select(PartialRow.segment)
        .where(
            PartialRow.project == window.project,
            PartialRow.loop == window.loop,
            PartialRow.window_start == window.start,
            PartialRow.version == window.version,
        )
        .order_by(PartialRow.segment)
    )


def _note(window: WindowRow, sentence: str) -> None:
    window.message = f"{window.message}; {sentence}" if window.message else sentence


async def report_digest(session: Any, project: str, loop: str, start: datetime, version: int | None) -> str:
    """The report's object; of the newest version in that window that has one, when none is named. NotFound."""
    query = select(WindowRow).where(WindowRow.project == project, WindowRow.loop == loop, WindowRow.start == start)
    if version is not None:
        query = query.where(WindowRow.version == version)
    windows = list((await session.scalars(query.order_by(WindowRow.version.desc()))).all())
    if not windows:
        raise NotFound(f"no window of {loop} begins at {start:%Y-%m-%d %H:%M:%S}")
    for window in windows:
        if window.report is not None:
            return str(window.report)
    raise NotFound(
        f"the window has no report: it is {windows[0].state}{'; ' + windows[0].message if windows[0].message else ''}",
        hint="A report is made soon after a window is judged.",
    )
