"""What became of a retrain: running, promoted, refused, failed."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import Envelope, GatesDecided, RunFinished, RunStarted
from capstan_contracts.work import State
from capstan_monitoring.domain.retrain import RETRAIN, RetrainState
from capstan_monitoring.tables import RetrainRow
from capstan_servicekit.db.session import WriteSession

DRIFT = "drift"


class FollowRetrains:
    """`run.started`, `run.finished` and `gates.decided`, in the transaction of each event."""

    async def started(self, session: WriteSession, envelope: Envelope, event: RunStarted) -> None:
        """The run that was asked for is under way."""
        if event.reason == DRIFT:
            await self._adopt(session, envelope.project, event.loop, event.run, event.dataset_version)

    async def finished(self, session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
        """A run without a package ends its retrain; one with a package is decided by the gates."""
        row = await self._of_run(session, envelope.project, event.run)
        if row is None and event.reason == DRIFT:
            row = await self._adopt(session, envelope.project, event.loop, event.run, event.dataset_version)
        if row is not None and row.state == RetrainState.RUNNING and event.state is not State.SUCCEEDED:
            row.state = RETRAIN.move(row.state, RetrainState.FAILED)
            row.why = event.error or f"the run {event.state.value}"

    async def decided(self, session: WriteSession, envelope: Envelope, event: GatesDecided) -> None:
        """The gates have spoken."""
        row = await self._of_run(session, envelope.project, event.run) if event.run is not None else None
        if row is None or row.state != RetrainState.RUNNING:
            return
        row.state = RETRAIN.move(row.state, RetrainState.PROMOTED if event.approved else RetrainState.REFUSED)
        refusing = [gate.sentence for gate in event.gates if gate.refuses]
        row.why = "" if event.approved else "; ".join(refusing)

    async def _of_run(self, session: WriteSession, project: str, run: str) -> RetrainRow | None:
        row: RetrainRow | None = await session.scalar(
            select(RetrainRow).where(RetrainRow.project == project, RetrainRow.run == run)
        )
        return row

    async def _adopt(
        self, session: WriteSession, project: str, loop: str, run: str, dataset_version: str
    ) -> RetrainRow | None:
        """The oldest request for that dataset version takes the run; the same event again finds it taken."""
        row: RetrainRow | None = await session.scalar(
            select(RetrainRow)
            .where(
                RetrainRow.project == project,
                RetrainRow.loop == loop,
                RetrainRow.state == RetrainState.REQUESTED,
                RetrainRow.dataset_version == dataset_version,
            )
            .order_by(RetrainRow.at)
            .limit(1)
        )
        if row is not None:
            row.state, row.run = RETRAIN.move(row.state, RetrainState.RUNNING), run
        return row
