"""Remember the packages of a loop, and which version is the champion."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import DriftCleared, Envelope, RunFinished, VersionPromoted
from capstan_contracts.ids import Urn
from capstan_monitoring.domain.window import WindowState
from capstan_monitoring.domain.work import SegmentToIngest
from capstan_monitoring.tables import MonitorRow, PackageRow, WaitingRow, WindowRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


class FollowVersions:
    """`run.finished` and `version.promoted`, in either order."""

    def __init__(self, outbox: Outbox, work: WorkQueue) -> None:
        self._outbox, self._work = outbox, work

    async def finished(self, session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
        """Which training set a package was made from."""
        if event.package is None:
            return
        row = await self._package(session, envelope.project, event.package, event.loop)
        row.training_set = event.training_set or row.training_set
        await self._take_in(session, row, cause="finished")

    async def promoted(self, session: WriteSession, envelope: Envelope, event: VersionPromoted) -> None:
        """The ledger's newest entry is the champion; an alarm about its predecessor is over."""
        row = await self._package(session, envelope.project, event.package, event.model)
        if event.ledger_sequence >= row.ledger:
            row.version, row.ledger = event.to_version, event.ledger_sequence
        await self._take_in(session, row, cause="promoted")
        monitor = await session.get(MonitorRow, (envelope.project, event.model))
        if monitor is None or event.ledger_sequence <= monitor.ledger:
            return
        changed = monitor.model_version != event.to_version
        monitor.model_version, monitor.ledger = event.to_version, event.ledger_sequence
        if changed and monitor.alarm:
            await self._clear(session, monitor)

    async def _package(self, session: WriteSession, project: str, package: str, loop: str) -> PackageRow:
        row = await session.get(PackageRow, (project, package))
        if row is None:
            row = PackageRow(project=project, package=package, loop=loop, ledger=0)
            session.add(row)
        return row

    async def _take_in(self, session: WriteSession, row: PackageRow, *, cause: str) -> None:
        """Predictions of this package that were logged before it was known."""
        of_package = (WaitingRow.project == row.project, WaitingRow.package == row.package, WaitingRow.loop == row.loop)
        for segment in (await session.scalars(select(WaitingRow.segment).where(*of_package))).all():
            ingest = SegmentToIngest(row.loop, segment, row.package, cause)
            await self._work.add(session, ingest, project=row.project)

    async def _clear(self, session: WriteSession, monitor: MonitorRow) -> None:
        monitor.alarm, monitor.alarm_columns = False, []
        window = await session.scalar(
            select(WindowRow)
            .where(
                WindowRow.project == monitor.project,
                WindowRow.loop == monitor.loop,
                WindowRow.state == WindowState.DRIFTED,
            )
            .order_by(WindowRow.start.desc(), WindowRow.version.desc())
            .limit(1)
        )
        if window is not None:
            event = DriftCleared(
                loop=monitor.loop, model_version=window.version, window_start=window.start, window_end=window.end
            )
            subject = Urn(monitor.project, "loop", monitor.loop)
            self._outbox.add(session, event, project=monitor.project, subject=subject)
