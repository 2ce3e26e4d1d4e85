"""A finished run becomes a model version: MLflow gives the integer, our row and event follow in one transaction."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.events import VersionRegistered
from capstan_contracts.ids import Urn
from capstan_registry.actions.ports import ModelCatalogue
from capstan_registry.actions.request_promotion import AddPromotion
from capstan_registry.domain.model_names import mlflow_name, package_source
from capstan_registry.domain.work import RunToRegister
from capstan_registry.tables import VersionRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

log = logger(__name__)


class RegisterVersion(Work[RunToRegister]):
    """MLflow numbers the version; doing it again finds the number that it gave. Patient: MLflow may have to start."""

    Payload = RunToRegister
    max_attempts = 12

    def __init__(self, clock: Clock, outbox: Outbox, promotions: AddPromotion, catalogue: ModelCatalogue) -> None:
        self._clock, self._outbox, self._promotions, self._catalogue = clock, outbox, promotions, catalogue

    async def run(self, item: WorkItem[RunToRegister], lease: Lease) -> None:
        """Have the version numbered, then keep it."""
        run = item.payload
        version = await self._catalogue.ensure_version(
            mlflow_name(item.project, run.loop),
            run=run.run,
            source=package_source(item.project, run.package),
            tags={
                "capstan.run": run.run,
                "capstan.package": run.package,
                "capstan.dataset": str(Urn(item.project, "dataset", run.dataset, run.dataset_version)),
                "capstan.code": run.code,
            },
        )
        async with lease.finish() as session:
            await self._store(session, item.project, run, version)

    async def failed(self, session: WriteSession, item: WorkItem[RunToRegister], problem: Problem) -> None:
        """The package stays without a version; the log says why."""
        log.error("version.not_registered", run=item.payload.run, project=item.project, detail=problem.detail)

    async def _store(self, session: WriteSession, project: str, run: RunToRegister, version: int) -> None:
        version_of_run = select(VersionRow.version).where(VersionRow.project == project, VersionRow.run == run.run)
        if await session.scalar(version_of_run) is not None:
            return
        session.add(
            VersionRow(
                project=project,
                model=run.loop,
                version=version,
                package=run.package,
                run=run.run,
                holdout=run.holdout,
                training_set=run.training_set,
                dataset=run.dataset,
                dataset_version=run.dataset_version,
                metrics=run.metrics,
                created_at=self._clock.now(),
            )
        )
        await session.flush()
        registered = VersionRegistered(model=run.loop, version=version, package=run.package, run=run.run)
        subject = Urn(project, "model", run.loop, str(version))
        self._outbox.add(session, registered, project=project, subject=subject)
        if run.promote:
            await self._promotions(session, project, run.loop, version, by=f"run/{run.run}")
