"""What the registry's events and answers mean here: the run of a version, and a champion to roll out."""

from __future__ import annotations

from capstan_contracts.events import VersionPromoted, VersionRegistered
from capstan_inference.domain.parts import follows
from capstan_inference.tables import DeploymentRow, ModelVersionRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue

ROLL_OUT = "roll-out"


async def note_version(session: WriteSession, project: str, event: VersionRegistered) -> None:
    """Remember which run made the version."""
    await remember_run(session, project, event.model, event.version, event.package, event.run)


async def remember_run(session: WriteSession, project: str, model: str, version: int, package: str, run: str) -> None:
    """The same, from wherever it is known."""
    await session.merge(ModelVersionRow(project=project, model=model, version=version, package=package, run=run))


async def note_promotion(session: WriteSession, work: WorkQueue, project: str, event: VersionPromoted) -> None:
    """Enqueue the roll-out. A model without a loop here waits for the loop: then the registry is asked."""
    row = await session.get(DeploymentRow, (project, event.model))
    if row is None or not follows(event.ledger_sequence, row.ledger_sequence):
        return
    await enqueue_roll_out(
        session,
        work,
        project,
        key=f"{event.model}:{event.ledger_sequence}",
        model=event.model,
        version=event.to_version,
        package=event.package,
        sequence=event.ledger_sequence,
    )


async def enqueue_roll_out(
    session: WriteSession,
    work: WorkQueue,
    project: str,
    *,
    key: str,
    model: str,
    version: int,
    package: str,
    sequence: int,
) -> None:
    """One item per key; doing it twice does nothing the second time."""
    payload = {"model": model, "version": version, "package": package, "ledger_sequence": sequence}
    await work.add(session, ROLL_OUT, key=key, project=project, payload=payload)
