"""Judge a closed window: measure in a job, decide by the policy, tell, and hand the next window on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.events import DriftCleared, DriftDetected, DriftFigure
from capstan_contracts.ids import Urn
from capstan_monitoring.actions.close_windows import CloseWindows
from capstan_monitoring.actions.consider_retrain import ConsiderRetrain
from capstan_monitoring.domain.drift import (
    ColumnStatistic,
    evidence,
    holding,
    judge_columns,
    strongest,
    verdict,
    why_no_verdict,
)
from capstan_monitoring.domain.jobs import DriftToMeasure, MeasuredDrift
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.window import JUDGED, WINDOW, WindowState
from capstan_monitoring.domain.windows import report_path
from capstan_monitoring.domain.work import WindowToJudge, WindowToReport
from capstan_monitoring.tables import MonitorRow, PartialRow, WindowRow, monitor_row, window_of
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

MEASURE_DRIFT: Final = JobKind("platform", "capstan_monitoring.jobs.judge:run", DriftToMeasure, MeasuredDrift)


class JudgeWindow(Work[WindowToJudge]):
    """Windows of a loop are judged in the order of time: `CloseWindows` gives one out at a time."""

    Payload = WindowToJudge

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        work: WorkQueue,
        jobs: JobPool,
        objects: ObjectStore,
        close: CloseWindows,
        retrain: ConsiderRetrain,
    ) -> None:
        self._database, self._outbox, self._work, self._jobs, self._objects = database, outbox, work, jobs, objects
        self._close, self._retrain = close, retrain

    async def run(self, item: WorkItem[WindowToJudge], lease: Lease) -> None:
        """Measure, then decide in one transaction."""
        async with self._database.read() as session:
            window = await window_of(session, item.project, item.payload)
            drift = MonitorPart.from_json((await monitor_row(session, item.project, window.loop)).part).monitoring.drift
        package = await self._objects.local_path(item.project, window.package)
        async with self._jobs.scratch() as folder:
            partials = folder / "partials.jsonl"
            rows = await self._write_partials(window, partials)
            given = DriftToMeasure(str(package), str(partials), drift.model_dump(mode="json", by_alias=True))
            measured = await self._jobs.call(
                MEASURE_DRIFT, given, project=item.project, scratch=folder, readable=[package]
            )
        async with lease.finish() as session:
            window = await window_of(session, item.project, item.payload)
            monitor = await monitor_row(session, item.project, window.loop)
            await self._decide(session, monitor, window, rows, measured)
            await self._close(session, monitor)

    async def failed(self, session: WriteSession, item: WorkItem[WindowToJudge], problem: Problem) -> None:
        """The window says why it has no verdict, and the next one gets its turn."""
        window = await window_of(session, item.project, item.payload)
        window.state = WINDOW.move(window.state, WindowState.FAILED)
        window.message = problem.detail or problem.title
        monitor = await monitor_row(session, item.project, window.loop)
        await self._close(session, monitor)

    async def _write_partials(self, window: WindowRow, target: Path) -> int:
        """One line of sketches per segment; how many rows they hold."""
        query = select(PartialRow.rows, PartialRow.sketches).where(
            PartialRow.project == window.project,
            PartialRow.loop == window.loop,
            PartialRow.window_start == window.start,
            PartialRow.version == window.version,
            PartialRow.package == window.package,
        )
        rows = 0
        async with self._database.read() as session:
            with target.open("w", encoding="utf-8") as lines:
                async for count, sketches in await session.stream(query.execution_options(yield_per=50)):
                    rows += count
                    lines.write(json.dumps(sketches) + "\n")
        return rows

    async def _decide(
        self, session: WriteSession, monitor: MonitorRow, window: WindowRow, rows: int, measured: MeasuredDrift
    ) -> None:
        part = MonitorPart.from_json(monitor.part)
        policy = part.monitoring.drift
        figures = judge_columns([ColumnStatistic(**column) for column in measured.statistics], policy)
        earlier = await self._earlier(session, window, policy.persistence[1] - 1)
        unjudged = {*measured.absent, *measured.shared}
        state, columns = verdict(figures, rows, earlier, policy, unjudged)
        window.state, window.judged = WINDOW.move(window.state, state), rows
        window.figures = figures
        notes = _of_unjudged(measured)
        if state is WindowState.TOO_FEW_ROWS:
            notes.append(why_no_verdict(figures, rows, unjudged, policy))
        else:
            report = WindowToReport(window.loop, window.start, window.version)
            await self._work.add(session, report, project=window.project)
        if state is WindowState.DRIFTED and window.version != monitor.model_version:
            notes.append(f"no alarm: version {window.version} is not the champion any more")
        elif state is WindowState.DRIFTED:
            before = monitor.alarm_columns if monitor.alarm else []
            monitor.alarm_columns = sorted({*before, *columns})
            await self._alarm(
                session,
                monitor,
                window,
                part,
                [figure for figure in figures if figure.drifted and figure.column in columns],
            )
        elif state is WindowState.QUIET and monitor.alarm and window.version == monitor.model_version:
            if unseen := holding(monitor.alarm_columns, figures, policy):
                notes.append(f"the alarm stays: of its columns these were not judged: {', '.join(unseen)}")
            else:
                self._clear(session, monitor, window)
        window.message = "; ".join(notes)

    def _clear(self, session: WriteSession, monitor: MonitorRow, window: WindowRow) -> None:
        monitor.alarm, monitor.alarm_columns = False, []
        cleared = DriftCleared(
            loop=window.loop, model_version=window.version, window_start=window.start, window_end=window.end
        )
        self._outbox.add(session, cleared, project=window.project, subject=_subject(window))

    async def _earlier(self, session: WriteSession, window: WindowRow, count: int) -> list[list[DriftFigure]]:
        """Figures of the judged windows before this one, newest first, same version."""
        rows = await session.scalars(
            select(WindowRow)
            .where(
                WindowRow.project == window.project,
                WindowRow.loop == window.loop,
                WindowRow.version == window.version,
                WindowRow.start < window.start,
                WindowRow.state.in_(JUDGED),
            )
            .order_by(WindowRow.start.desc())
            .limit(count)
        )
        return [row.figures for row in rows.all()]

    async def _alarm(
        self,
        session: WriteSession,
        monitor: MonitorRow,
        window: WindowRow,
        part: MonitorPart,
        figures: list[DriftFigure],
    ) -> None:
        monitor.alarm = True
        report = report_path(window.project, window.loop, window.start)
        detected = DriftDetected(
            loop=window.loop, model_version=window.version, window_start=window.start, window_end=window.end,
            rows=window.judged or 0, columns=figures, report=report,
        )  # fmt: skip
        self._outbox.add(session, detected, project=window.project, subject=_subject(window))
        effects = dict(evidence(figures, [figure.column for figure in figures]))
        await self._retrain.after_drift(
            session, window.project, window.loop, part, window.end,
            f"drift in {len(effects)} column(s): {strongest(figures)}",
            {
                "window_start": window.start.isoformat(), "window_end": window.end.isoformat(),
                "model_version": window.version, "effects": effects, "report": report,
            },
        )  # fmt: skip


def _of_unjudged(measured: MeasuredDrift) -> list[str]:
    """Sentences about the columns that have no figure."""
    notes = []
    if measured.absent:
        notes.append(f"nothing to compare in the log, hence not judged: {', '.join(sorted(measured.absent))}")
    if measured.shared:
        few = ", ".join(f"{name} (worth {worth} rows)" for name, worth in sorted(measured.shared.items()))
        notes.append(f"looked up from too few rows of a view, of {measured.least}, hence not judged: {few}")
    return notes


def _subject(window: WindowRow) -> Urn:
    return Urn(window.project, "loop", window.loop)
