"""Live quality of a window from the labels that have come, and whether its bound is missed with confidence."""

from __future__ import annotations

import asyncio
from array import array
from pathlib import Path

from sqlalchemy import func, null, select

from capstan_contracts.errors import Problem
from capstan_contracts.events import QualityDegraded
from capstan_contracts.ids import Urn
from capstan_contracts.loop import QualityBound
from capstan_monitoring.actions.know_task import KnowTask
from capstan_monitoring.domain.jobs import MeasuredQuality, QualityToMeasure
from capstan_monitoring.domain.labels import LabelRule
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.work import WindowToMeasure
from capstan_monitoring.tables import QualityRow, ScoredRow, monitor_row, window_of
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

MEASURE = JobKind("platform", "capstan_monitoring.jobs.quality:run", QualityToMeasure, MeasuredQuality)
PROBABILITIES = "probabilities"
log = logger(__name__)


class MeasureQuality(Work[WindowToMeasure]):
    """One window at a time; measured from all labels that are there, so the order of causes does not matter."""

    Payload = WindowToMeasure

    def __init__(self, database: Database, outbox: Outbox, jobs: JobPool, tasks: KnowTask) -> None:
        self._database, self._outbox, self._jobs, self._tasks = database, outbox, jobs, tasks

    async def run(self, item: WorkItem[WindowToMeasure], lease: Lease) -> None:
        """Read the labelled predictions, measure in a job, keep the figures."""
        project, loop, start, version = item.project, item.payload.loop, item.payload.start, item.payload.version
        async with self._database.read() as session:
            package = (await window_of(session, project, item.payload)).package
        rule = await self._tasks.of_package(project, package)
        async with self._jobs.scratch() as folder:
            file = folder / "rows.f64"
            monitor_part, rows, labelled = await self._read(project, item.payload, rule, file)
            bound = monitor_part.monitoring.quality
            metric, first_look = (bound.metric, bound.min_labels) if bound else (None, None)
            given = QualityToMeasure(str(file), rule.task or "", rule.classes, metric, first_look)
            measured = await self._jobs.call(MEASURE, given, project=project, scratch=folder)
        async with lease.finish() as session:
            window = await window_of(session, project, item.payload)
            row = await session.get(QualityRow, (project, loop, start, version))
            if row is None:
                row = QualityRow(project=project, loop=loop, start=start, version=version, degraded=False)
                session.add(row)
            row.end, row.metric, row.rows, row.labelled = window.end, measured.metric, rows, labelled
            row.value, row.low, row.high = measured.value, measured.low, measured.high
            self._degrade(session, row, bound, measured)

    async def failed(self, session: WriteSession, item: WorkItem[WindowToMeasure], problem: Problem) -> None:
        """The figures of before stay; the next labels measure again."""
        log.error("quality.failed", loop=item.payload.loop, start=item.payload.start.isoformat(), detail=problem.detail)

    async def _read(
        self, project: str, window: WindowToMeasure, rule: LabelRule, target: Path
    ) -> tuple[MonitorPart, int, int]:
        """Write the rows of QualityToMeasure; the part, all rows of the window, and how many could be written."""
        of_window = (
            ScoredRow.project == project,
            ScoredRow.loop == window.loop,
            ScoredRow.window_start == window.start,
            ScoredRow.version == window.version,
        )
        values, labelled = array("d"), 0
        async with self._database.read() as session:
            part = MonitorPart.from_json((await monitor_row(session, project, window.loop)).part)
            rows = int(await session.scalar(select(func.count()).select_from(ScoredRow).where(*of_window)) or 0)
            outputs = ScoredRow.outputs if rule.classes else null()
            query = select(ScoredRow.label, ScoredRow.prediction, outputs).where(
                *of_window, ScoredRow.state == "labelled"
            )
            async for label, prediction, all_of_it in await session.stream(query.execution_options(yield_per=5000)):
                said = _probabilities(all_of_it, rule.classes) if rule.classes else [prediction]
                if None not in said:
                    values.extend((label, *said))
                    labelled += 1
        await asyncio.to_thread(target.write_bytes, values.tobytes())
        return part, rows, labelled

    def _degrade(
        self, session: WriteSession, row: QualityRow, bound: QualityBound | None, measured: MeasuredQuality
    ) -> None:
        """Tell once per window that the bound is missed with confidence, at all looks together."""
        value, low, high = measured.value, measured.anytime_low, measured.anytime_high
        if bound is None or row.degraded or value is None or low is None or high is None:
            return
        below = bound.min is not None and high < bound.min
        above = bound.max is not None and low > bound.max
        if not (below or above):
            return
        row.degraded = True
        limit = bound.bound
        event = QualityDegraded(
            loop=row.loop, model_version=row.version, window_start=row.start, window_end=row.end,
            metric=row.metric, value=value, low=low, high=high, bound=limit,
        )  # fmt: skip
        self._outbox.add(session, event, project=row.project, subject=Urn(row.project, "loop", row.loop))


def _probabilities(outputs: dict[str, object] | None, classes: int) -> list[float | None]:
    """One per class; with a None where the log has no number for each."""
    said = (outputs or {}).get(PROBABILITIES)
    return said if isinstance(said, list) and len(said) == classes else [None]
