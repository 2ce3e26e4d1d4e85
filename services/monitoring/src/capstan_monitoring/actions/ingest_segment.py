"""Take a segment of the prediction log in: sketches per window and version, and a row per prediction."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.ids import short
from capstan_monitoring.actions.close_windows import CloseWindows
from capstan_monitoring.actions.write_rows import chunks, insert_scored
from capstan_monitoring.domain.instants import instant, micros_of
from capstan_monitoring.domain.jobs import PartialSketches, ReadSegment, SegmentToRead
from capstan_monitoring.domain.join import prediction_key
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.window import WindowState
from capstan_monitoring.domain.windows import Grid
from capstan_monitoring.domain.work import SegmentToIngest, WindowToMeasure
from capstan_monitoring.tables import MonitorRow, PackageRow, PartialRow, SegmentRow, WaitingRow, WindowRow, monitor_row
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore, path_of
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

READ_SEGMENT: Final = JobKind("platform", "capstan_monitoring.jobs.ingest:run", SegmentToRead, ReadSegment)


class IngestSegment(Work[SegmentToIngest]):
    """One segment at a time; each may move the newest event time."""

    Payload = SegmentToIngest

    def __init__(
        self, database: Database, work: WorkQueue, jobs: JobPool, objects: ObjectStore, close: CloseWindows
    ) -> None:
        self._database, self._work, self._jobs, self._objects = database, work, jobs, objects
        self._close = close

    async def run(self, item: WorkItem[SegmentToIngest], lease: Lease) -> None:
        """Read in a job, write in one transaction."""
        loop, digest = item.payload.loop, item.payload.segment
        async with self._database.read() as session:
            monitor = await monitor_row(session, item.project, loop)
            packages = await self._packages(session, item.project, loop, item.payload.package)
        part = MonitorPart.from_json(monitor.part)
        segment = await path_of(self._objects, item.project, digest, what=f"segment {short(digest)} of the log")
        async with self._jobs.scratch() as folder:
            given = SegmentToRead(
                segment=str(segment),
                packages=packages,
                origin_us=micros_of(part.monitoring.window_origin),
                length_us=part.monitoring.window // timedelta(microseconds=1),
                keys=list(part.keys),
                time_keys=list(part.time_keys),
            )
            read = await self._jobs.call(
                READ_SEGMENT,
                given,
                project=item.project,
                scratch=folder,
                readable=[segment, *packages.values()],
            )
            scored = made_file(folder, "scored.jsonl")
            async with lease.finish() as session:
                if item.payload.package:
                    await self._apply_waiting(session, item, part, read, scored)
                elif await session.get(SegmentRow, (item.project, digest)) is None:
                    await self._apply(session, item, part, read, scored)

    async def failed(self, session: WriteSession, item: WorkItem[SegmentToIngest], problem: Problem) -> None:
        """Keep why: the segment's rows are in no window."""
        project, payload, why = item.project, item.payload, problem.detail or problem.title
        segment = await session.get(SegmentRow, (project, payload.segment))
        if segment is None:
            session.add(
                SegmentRow(
                    project=project, digest=payload.segment, loop=payload.loop, rows=0, unknown=0, problem=why
                )
            )  # fmt: skip
        elif (waiting := await session.get(WaitingRow, (project, payload.package, payload.segment))) is not None:
            # The rows of this package stay among the unknown ones: nothing will take them in.
            segment.problem = "; ".join(filter(None, (segment.problem, why)))
            await session.delete(waiting)
        # Windows do not wait for it any longer.
        monitor = await monitor_row(session, item.project, item.payload.loop)
        await self._close(session, monitor)

    async def _packages(self, session: ReadSession, project: str, loop: str, package: str) -> dict[str, str]:
        """Files of the packages that the loop's runs made, or of one of them."""
        query = select(PackageRow.package).where(PackageRow.project == project, PackageRow.loop == loop)
        known = await session.scalars(query.where(PackageRow.package == package) if package else query)
        return {
            digest: str(await self._objects.local_path(project, digest))
            for digest in known.all()
            if await self._objects.exists(project, digest)
        }

    async def _apply(
        self,
        session: WriteSession,
        item: WorkItem[SegmentToIngest],
        part: MonitorPart,
        read: ReadSegment,
        scored: Path,
    ) -> None:
        project, loop, digest = item.project, item.payload.loop, item.payload.segment
        monitor = await monitor_row(session, project, loop)
        session.add(
            SegmentRow(project=project, digest=digest, loop=loop, rows=read.rows, unknown=read.unknown, problem="")
        )
        for package, rows in read.waiting.items():
            session.add(WaitingRow(project=project, package=package, segment=digest, loop=loop, rows=rows))
            if await session.get(PackageRow, (project, package)) is not None:  # its event came while the job ran
                await self._work.add(session, SegmentToIngest(loop, digest, package, "meanwhile"), project=project)
        await self._add(session, monitor, part, digest, read, scored)
        await self._close(session, monitor)

    async def _apply_waiting(
        self,
        session: WriteSession,
        item: WorkItem[SegmentToIngest],
        part: MonitorPart,
        read: ReadSegment,
        scored: Path,
    ) -> None:
        """Rows whose package has become known, if it can be read by now."""
        project, payload = item.project, item.payload
        waiting = await session.get(WaitingRow, (project, payload.package, payload.segment))
        if waiting is None or payload.package in read.waiting:
            return
        segment = await session.get_one(SegmentRow, (project, payload.segment))
        await session.delete(waiting)
        monitor = await monitor_row(session, project, payload.loop)
        segment.unknown -= waiting.rows - await self._add(session, monitor, part, payload.segment, read, scored)
        await self._close(session, monitor)

    async def _add(
        self, session: WriteSession, monitor: MonitorRow, part: MonitorPart, digest: str, read: ReadSegment,
        scored: Path,
    ) -> int:  # fmt: skip
        """How many rows were left out: of a version whose rows of that window another package has answered."""
        project, loop = monitor.project, monitor.loop
        grid = Grid(part.monitoring.window_origin, part.monitoring.window)
        left_out = [
            partial for partial in read.partials if not await _add_partial(session, monitor, grid, digest, partial)
        ]
        labelled = await _insert(
            session, monitor, scored, {(partial["window_us"], partial["version"]) for partial in left_out}
        )
        if read.newest_us is not None:
            newest = instant(read.newest_us)
            monitor.newest = max(monitor.newest or newest, newest)
        for start, version in labelled:
            await self._work.add(session, WindowToMeasure(loop, start, version, cause=digest), project=project)
        return sum(partial["rows"] for partial in left_out)


async def _add_partial(
    session: WriteSession, monitor: MonitorRow, grid: Grid, digest: str, partial: PartialSketches
) -> bool:
    """False where another package said to be the same version, and was there first."""
    start, version, rows = instant(partial["window_us"]), partial["version"], partial["rows"]
    project, loop, package = monitor.project, monitor.loop, partial["package"]
    if await session.get(PartialRow, (project, digest, start, version)) is not None:
        return False
    session.add(
        PartialRow(
            project=project, segment=digest, window_start=start, version=version, loop=loop, package=package,
            rows=rows, sketches=partial["sketches"],
        )
    )  # fmt: skip
    window = await session.get(WindowRow, (project, loop, start, version))
    if window is None:
        window = WindowRow(
            project=project, loop=loop, start=start, version=version, end=grid.end_of(start), package=package,
            rows=0, state=WindowState.OPEN, figures=[], message="",
        )  # fmt: skip
        session.add(window)
    window.rows += rows
    return True


async def _insert(
    session: WriteSession, monitor: MonitorRow, path: Path, taken: set[tuple[int, int]]
) -> set[tuple[datetime, int]]:
    """Insert the predictions but those of `taken` windows; the windows of those whose label was there first."""
    labelled: set[tuple[datetime, int]] = set()
    for lines in chunks(path):
        rows = [
            {
                "project": monitor.project,
                "prediction_id": identity,
                "loop": monitor.loop,
                "version": version,
                "window_start": instant(start),
                "join_key": key,
                "prediction": prediction,
                "outputs": outputs,
                "by_id": prediction_key(identity),
            }
            for identity, start, version, key, prediction, outputs in lines
            if (start, version) not in taken
        ]
        await insert_scored(session, monitor.project, monitor.loop, rows)
        labelled |= {(row["window_start"], row["version"]) for row in rows if row["state"] == "labelled"}
    return labelled
