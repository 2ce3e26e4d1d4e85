"""A finished run becomes a model version: MLflow gives the integer, our row and event follow in one transaction."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.events import RunFinished, VersionRegistered
from capstan_contracts.ids import Urn
from capstan_contracts.work import State
from capstan_registry.actions.ports import ModelCatalogue
from capstan_registry.actions.request_promotion import add_promotion
from capstan_registry.domain.model_names import mlflow_name, package_source
from capstan_registry.tables import VersionRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.runtime import Kit
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem

log = logger(__name__)
REGISTER = "register"


async def enqueue(kit: Kit, session: WriteSession, project: str, event: RunFinished) -> None:
    """Register the run's package, once per run."""
    if event.state == State.SUCCEEDED and event.package is not None:
        payload = event.model_dump(mode="json")
        await kit.work.add(session, REGISTER, key=event.run, project=project, payload=payload)


def register_kind(kit: Kit, catalogue: ModelCatalogue) -> WorkKind:
    """The work behind `enqueue`."""

    async def run(item: WorkItem, lease: Lease) -> None:
        event = RunFinished.model_validate(item.payload)
        assert event.package is not None
        version = await catalogue.ensure_version(
            mlflow_name(item.project, event.loop),
            run=event.run,
            source=package_source(item.project, event.package),
            tags={
                "capstan.run": event.run,
                "capstan.package": event.package,
                "capstan.dataset": str(Urn(item.project, "dataset", event.dataset, event.dataset_version)),
                "capstan.code": event.code,
            },
        )
        async with lease.finish() as session:
            await _store(kit, session, item.project, event, version)

    async def failed(session: WriteSession, item: WorkItem, problem: Problem) -> None:
        log.error("version.not_registered", run=item.key, project=item.project, detail=problem.detail)

    return WorkKind(run, failed, max_attempts=12)


async def _store(kit: Kit, session: WriteSession, project: str, event: RunFinished, version: int) -> None:
    known = select(VersionRow.version).where(VersionRow.project == project, VersionRow.run == event.run)
    if await session.scalar(known) is not None:
        return
    assert event.package is not None
    session.add(
        VersionRow(
            project=project,
            model=event.loop,
            version=version,
            package=event.package,
            run=event.run,
            holdout=event.holdout,
            dataset=event.dataset,
            dataset_version=event.dataset_version,
            metrics=event.metrics,
            created_at=kit.clock.now(),
        )
    )
    await session.flush()
    registered = VersionRegistered(model=event.loop, version=version, package=event.package, run=event.run)
    kit.outbox.add(session, registered, project=project, subject=Urn(project, "model", event.loop, str(version)))
    if event.promote:
        await add_promotion(kit, session, project, event.loop, version, by=f"run/{event.run}")
