"""Have Evidently render the report of a judged window. A report that fails changes no verdict."""

from __future__ import annotations

from sqlalchemy import Select, select

from capstan_contracts.errors import Problem
from capstan_monitoring.domain.instants import micros_of
from capstan_monitoring.domain.jobs import RenderedReport, ReportToRender
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.work import WindowToReport
from capstan_monitoring.tables import PackageRow, PartialRow, WindowRow, monitor_row, window_of
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import NotFound
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

RENDER_REPORT = JobKind("monitoring", "capstan_monitoring.jobs.report:run", ReportToRender, RenderedReport)


class RenderReport(Work[WindowToReport]):
    """After the verdict, in the environment that has Evidently."""

    Payload = WindowToReport
    max_attempts = 3
    """People look at it, nothing waits for it."""

    def __init__(self, database: Database, jobs: JobPool, objects: ObjectStore, rows: int) -> None:
        self._database, self._jobs, self._objects = database, jobs, objects
        self._rows = rows

    async def run(self, item: WorkItem[WindowToReport], lease: Lease) -> None:
        """Render in a job, keep the HTML as an object."""
        async with self._database.read() as session:
            window = await window_of(session, item.project, item.payload)
            part = MonitorPart.from_json((await monitor_row(session, item.project, window.loop)).part)
            package = await session.get(PackageRow, (item.project, window.package))
            segments = list((await session.scalars(_segments(window))).all())
        if package is None or package.training_set is None:
            raise NotFound(f"the training set of version {window.version} is not known")
        async with self._jobs.scratch() as folder:
            given = await self._input(item.project, window, part, package.training_set, segments)
            rendered = await self._jobs.call(
                RENDER_REPORT,
                given,
                project=item.project,
                scratch=folder,
                readable=[given.package, given.training_set, *given.segments],
                progress=lease.progress,
            )
            digest = await self._objects.put_file(item.project, made_file(folder, "report.html"))
        async with lease.finish() as session:
            window = await window_of(session, item.project, item.payload)
            window.report = digest
            if rendered.left_out:
                reasons = ", ".join(f"{name} ({reason})" for name, reason in rendered.left_out.items())
                _note(window, f"not drawn in the report: {reasons}")
            if rendered.shown_as_psi:
                no = " and no ".join(rendered.shown_as_psi)
                _note(window, f"the report shows PSI, since Evidently has no {no}")

    async def failed(self, session: WriteSession, item: WorkItem[WindowToReport], problem: Problem) -> None:
        """The window says why it has no report."""
        window = await window_of(session, item.project, item.payload)
        _note(window, f"the report could not be made: {problem.detail or problem.title}")

    async def _input(
        self, project: str, window: WindowRow, part: MonitorPart, training_set: str, segments: list[str]
    ) -> ReportToRender:
        path = self._objects.local_path
        return ReportToRender(
            package=str(await path(project, window.package)),
            training_set=str(await path(project, training_set)),
            segments=[str(await path(project, segment)) for segment in segments],
            start_us=micros_of(window.start),
            end_us=micros_of(window.end),
            version=window.version,
            rows=self._rows,
            drift=part.monitoring.drift.model_dump(mode="json", by_alias=True),
        )


def _segments(window: WindowRow) -> Select[tuple[str]]:
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
