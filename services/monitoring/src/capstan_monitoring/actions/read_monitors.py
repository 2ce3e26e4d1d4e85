"""Monitors, windows, quality and retrains as the wire has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.monitoring import Monitor, QualityWindow, Retrain, Window
from capstan_monitoring.domain.windows import report_path, watermark
from capstan_monitoring.tables import MonitorRow, QualityRow, RetrainRow, ScoredRow, WaitingRow, WindowRow, monitor_row
from capstan_servicekit.db.session import Database, ReadSession
from capstan_servicekit.errors import NotFound
from capstan_servicekit.objects.port import ObjectStore

Cursor = tuple[datetime, int]


class ReadMonitors:
    """Everything that people and programs look at."""

    def __init__(self, database: Database, objects: ObjectStore, lateness: timedelta) -> None:
        self._database, self._objects = database, objects
        self._lateness = lateness

    async def monitors(self, project: str, limit: int, after: str | None) -> Page[Monitor]:
        """All monitors, by name."""
        query = select(MonitorRow).where(MonitorRow.project == project).order_by(MonitorRow.loop).limit(limit + 1)
        if after is not None:
            query = query.where(MonitorRow.loop > after)
        async with self._database.read() as session:
            rows = list((await session.scalars(query)).all())
            items = [await self._monitor(session, row) for row in rows[:limit]]
        return Page(items=items, next=items[-1].loop if len(rows) > limit else None)

    async def monitor(self, project: str, loop: str) -> Monitor:
        """One monitor."""
        async with self._database.read() as session:
            return await self._monitor(session, await monitor_row(session, project, loop))

    async def windows(self, project: str, loop: str, limit: int, after: Cursor | None) -> Page[Window]:
        """Windows, oldest first."""
        query = select(WindowRow).where(WindowRow.project == project, WindowRow.loop == loop)
        if after is not None:
            query = query.where(
                (WindowRow.start > after[0]) | ((WindowRow.start == after[0]) & (WindowRow.version > after[1]))
            )
        async with self._database.read() as session:
            await monitor_row(session, project, loop)
            ordered = query.order_by(WindowRow.start, WindowRow.version).limit(limit + 1)
            rows = list((await session.scalars(ordered)).all())
        last = rows[limit - 1] if len(rows) > limit else None
        following = f"{last.start.isoformat().replace('+00:00', 'Z')}~{last.version}" if last is not None else None
        return Page(items=[_window(row) for row in rows[:limit]], next=following)

    async def report(self, project: str, loop: str, start: datetime, version: int | None) -> bytes:
        """The HTML of a window's report; NotFound."""
        async with self._database.read() as session:
            await monitor_row(session, project, loop)
            digest = await _report_digest(session, project, loop, start, version)
        return await self._objects.read(project, digest)

    async def quality(self, project: str, loop: str) -> list[QualityWindow]:
        """Live quality, oldest window first."""
        query = select(QualityRow).where(QualityRow.project == project, QualityRow.loop == loop)
        async with self._database.read() as session:
            await monitor_row(session, project, loop)
            rows = (await session.scalars(query.order_by(QualityRow.start, QualityRow.version))).all()
        return [
            QualityWindow(
                start=row.start, end=row.end, model_version=row.version, metric=row.metric, rows=row.rows,
                labelled=row.labelled, coverage=row.labelled / row.rows if row.rows else 0.0, value=row.value,
                low=row.low, high=row.high,
            )
            for row in rows
        ]  # fmt: skip

    async def retrains(self, project: str, loop: str, limit: int, before: str | None) -> Page[Retrain]:
        """Requested and withheld retrains, newest first."""
        query = select(RetrainRow).where(RetrainRow.project == project, RetrainRow.loop == loop)
        if before is not None:
            query = query.where(RetrainRow.id < before)
        async with self._database.read() as session:
            await monitor_row(session, project, loop)
            rows = list((await session.scalars(query.order_by(RetrainRow.id.desc()).limit(limit + 1))).all())
        return Page(
            items=[_retrain(row) for row in rows[:limit]], next=rows[limit - 1].id if len(rows) > limit else None
        )

    async def _monitor(self, session: ReadSession, row: MonitorRow) -> Monitor:
        counted = await session.execute(
            select(ScoredRow.state, func.count())
            .where(ScoredRow.project == row.project, ScoredRow.loop == row.loop)
            .group_by(ScoredRow.state)
        )
        counts: dict[str, int] = {state: count for state, count in counted}
        waiting = await session.scalar(
            select(func.sum(WaitingRow.rows)).where(WaitingRow.project == row.project, WaitingRow.loop == row.loop)
        )
        return Monitor(
            loop=row.loop, model_version=row.model_version,
            watermark=watermark(row.newest, row.declared, self._lateness), alarm=row.alarm,
            predictions=sum(counts.values()), labelled=counts.get("labelled", 0), unlabelled=counts.get("never", 0),
            waiting=int(waiting or 0),
        )  # fmt: skip


def _window(row: WindowRow) -> Window:
    late = row.rows - row.judged if row.judged is not None else 0
    notes = [row.message] if row.message else []
    if late:
        notes.append(f"{late} row(s) came after the verdict and are not part of it")
    state: dict[str, Any] = {"state": row.state}
    return Window(
        loop=row.loop, start=row.start, end=row.end, model_version=row.version, rows=row.rows,
        report=f"{report_path(row.project, row.loop, row.start)}?version={row.version}" if row.report else None,
        message="; ".join(notes), columns=row.figures, **state,
    )  # fmt: skip


def _retrain(row: RetrainRow) -> Retrain:
    fields: dict[str, Any] = {"state": row.state}
    return Retrain(
        id=row.id, loop=row.loop, reason=row.reason, why=row.why, dataset_version=row.dataset_version, run=row.run,
        at=row.at, event_time=row.event_time, evidence=row.evidence, **fields,
    )  # fmt: skip


async def _report_digest(session: ReadSession, project: str, loop: str, start: datetime, version: int | None) -> str:
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
