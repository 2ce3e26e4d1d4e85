"""Live quality of a window from the labels that have come, and whether its bound is missed with confidence."""

from __future__ import annotations

import asyncio
from array import array
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from capstan_contracts.errors import Problem
from capstan_contracts.events import QualityDegraded
from capstan_contracts.ids import Urn
from capstan_contracts.kinds.gates import MetricGate
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.work import WindowToMeasure
from capstan_monitoring.tables import QualityRow, ScoredRow, WindowRow, monitor_row
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

log = logger(__name__)


class MeasureQuality(Work[WindowToMeasure]):
    """One window at a time; measured from all labels that are there, so the order of causes does not matter."""

    Payload = WindowToMeasure

    def __init__(self, database: Database, outbox: Outbox, jobs: JobPool) -> None:
        self._database, self._outbox, self._jobs = database, outbox, jobs

    async def run(self, item: WorkItem[WindowToMeasure], lease: Lease) -> None:
        """Read the labelled predictions, measure in a job, keep the figures."""
        project, loop, start, version = item.project, item.payload.loop, item.payload.start, item.payload.version
        async with self._jobs.scratch() as folder:
            monitor_part, rows, labelled = await self._read(project, loop, start, version, folder / "pairs.f64")
            bound = monitor_part.monitoring.quality
            metric = bound.metric if bound is not None else "auc"
            given = {"file": str(folder / "pairs.f64"), "metric": metric}
            measured = await self._jobs.run("platform", "capstan_monitoring.jobs.quality:run", given, scratch=folder)
        async with lease.finish() as session:
            window = await session.get_one(WindowRow, (project, loop, start, version))
            row = await session.get(QualityRow, (project, loop, start, version))
            if row is None:
                row = QualityRow(project=project, loop=loop, start=start, version=version, degraded=False)
                session.add(row)
            row.end, row.metric, row.rows, row.labelled = window.end, metric, rows, labelled
            row.value, row.low, row.high = measured["value"], measured["low"], measured["high"]
            self._degrade(session, row, bound)

    async def failed(self, session: WriteSession, item: WorkItem[WindowToMeasure], problem: Problem) -> None:
        """The figures of before stay; the next labels measure again."""
        log.error("quality.failed", loop=item.payload.loop, start=item.payload.start.isoformat(), detail=problem.detail)

    async def _read(
        self, project: str, loop: str, start: datetime, version: int, target: Path
    ) -> tuple[MonitorPart, int, int]:
        """Write pairs of prediction and label as float64; the part, all rows of the window, labelled ones."""
        mine = (
            ScoredRow.project == project,
            ScoredRow.loop == loop,
            ScoredRow.window_start == start,
            ScoredRow.version == version,
        )
        pairs = array("d")
        async with self._database.read() as session:
            part = MonitorPart.from_json((await monitor_row(session, project, loop)).part)
            rows = int(await session.scalar(select(func.count()).select_from(ScoredRow).where(*mine)) or 0)
            measurable = (ScoredRow.state == "labelled", ScoredRow.prediction.is_not(None))
            query = select(ScoredRow.prediction, ScoredRow.label).where(*mine, *measurable)
            async for prediction, label in await session.stream(query.execution_options(yield_per=5000)):
                pairs.extend((prediction, label))
        await asyncio.to_thread(target.write_bytes, pairs.tobytes())
        return part, rows, len(pairs) // 2

    def _degrade(self, session: WriteSession, row: QualityRow, bound: MetricGate | None) -> None:
        """Tell once per window that the bound is missed with confidence."""
        if bound is None or row.degraded or row.value is None or row.low is None or row.high is None:
            return
        below = bound.min is not None and row.high < bound.min
        above = bound.max is not None and row.low > bound.max
        if not (below or above):
            return
        row.degraded = True
        limits: dict[str, Any] = {"bound": bound.min if bound.min is not None else bound.max}
        event = QualityDegraded(
            loop=row.loop, model_version=row.version, window_start=row.start, window_end=row.end,
            metric=row.metric, value=row.value, low=row.low, high=row.high, **limits,
        )  # fmt: skip
        self._outbox.add(session, event, project=row.project, subject=Urn(row.project, "loop", row.loop))
