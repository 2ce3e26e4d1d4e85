"""What became of a retrain: running, promoted, refused, failed."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import Envelope, GatesDecided, RunFinished, RunStarted
from capstan_contracts.work import State
from capstan_monitoring.tables import RetrainRow
from capstan_servicekit.db.session import WriteSession

DRIFT = "drift"


async def started(session: WriteSession, envelope: Envelope, event: RunStarted) -> None:
    """The run that was asked for is under way."""
    if event.reason == DRIFT:
        await _adopt(session, envelope.project, event.loop, event.run, event.dataset_version)


async def finished(session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
    """A run without a package ends its retrain; one with a package is decided by the gates."""
    row = await _of_run(session, envelope.project, event.run)
    if row is None and event.reason == DRIFT:
        row = await _adopt(session, envelope.project, event.loop, event.run, event.dataset_version)
    if row is not None and row.state == "running" and event.state is not State.SUCCEEDED:
        row.state, row.why = "failed", event.error or f"the run {event.state.value}"


async def decided(session: WriteSession, envelope: Envelope, event: GatesDecided) -> None:
    """The gates have spoken."""
    row = await _of_run(session, envelope.project, event.run) if event.run is not None else None
    if row is None or row.state != "running":
        return
    row.state = "promoted" if event.approved else "refused"
    refusing = [gate.sentence for gate in event.gates if gate.passed is False]
    row.why = "" if event.approved else "; ".join(refusing)


async def _of_run(session: WriteSession, project: str, run: str) -> RetrainRow | None:
    found: RetrainRow | None = await session.scalar(
        select(RetrainRow).where(RetrainRow.project == project, RetrainRow.run == run)
    )
    return found


async def _adopt(session: WriteSession, project: str, loop: str, run: str, dataset_version: str) -> RetrainRow | None:
    """The oldest request for that dataset version takes the run; the same event again finds it taken."""
    row: RetrainRow | None = await session.scalar(
        select(RetrainRow)
        .where(
            RetrainRow.project == project,
            RetrainRow.loop == loop,
            RetrainRow.state == "requested",
            RetrainRow.dataset_version == dataset_version,
        )
        .order_by(RetrainRow.at)
        .limit(1)
    )
    if row is not None:
        row.state, row.run = "running", run
    return row
