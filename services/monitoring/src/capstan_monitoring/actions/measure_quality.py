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
from capstan_contracts.loop import MetricGate
from capstan_monitoring.actions.find_monitor import monitor_row
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.tables import QualityRow, ScoredRow, WindowRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.runtime import Kit
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)
QUALITY = "quality"


async def enqueue_quality(
    session: WriteSession, work: WorkQueue, project: str, loop: str, start: datetime, version: int, *, cause: str
) -> None:
    """Measure a window (again); `cause` is what brought its labels."""
    payload = {"loop": loop, "start": start.isoformat(), "version": version}
    key = f"{loop}:{start:%Y-%m-%dT%H:%M:%S.%f}:{version}:{cause}"
    await work.add(session, QUALITY, key=key, project=project, payload=payload)


class MeasureQuality:
    """One window at a time; measured from all labels that are there, so the order of causes does not matter."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def work_kind(self) -> WorkKind:
        """The kind of this work."""
        return WorkKind(run=self.run, failed=self.failed)

    async def run(self, item: WorkItem, lease: Lease) -> None:
        """Read the labelled predictions, measure in a job, keep the figures."""
        project, loop, version = item.project, item.payload["loop"], item.payload["version"]
        start = datetime.fromisoformat(item.payload["start"])
        async with self._kit.jobs.scratch() as folder:
            monitor_part, rows, labelled = await self._read(project, loop, start, version, folder / "pairs.f64")
            bound = monitor_part.monitoring.quality
            metric = bound.metric if bound is not None else "auc"
            given = {"file": str(folder / "pairs.f64"), "metric": metric}
            found = await self._kit.jobs.run("platform", "capstan_monitoring.jobs.quality:run", given, scratch=folder)
        async with lease.finish() as session:
            window = await session.get_one(WindowRow, (project, loop, start, version))
            row = await session.get(QualityRow, (project, loop, start, version))
            if row is None:
                row = QualityRow(project=project, loop=loop, start=start, version=version, degraded=False)
                session.add(row)
            row.end, row.metric, row.rows, row.labelled = window.end, metric, rows, labelled
            row.value, row.low, row.high = found["value"], found["low"], found["high"]
            self._degrade(session, row, bound)

    async def failed(self, session: WriteSession, item: WorkItem, problem: Problem) -> None:
        """The figures of before stay; the next labels measure again."""
        log.error("quality.failed", loop=item.payload["loop"], start=item.payload["start"], detail=problem.detail)

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
        async with self._kit.database.read() as session:
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
            monitor=row.loop, model_version=row.version, window_start=row.start, window_end=row.end,
            metric=row.metric, value=row.value, low=row.low, high=row.high, **limits,
        )  # fmt: skip
        self._kit.outbox.add(session, event, project=row.project, subject=Urn(row.project, "loop", row.loop))
