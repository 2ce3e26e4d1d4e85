"""Ask the registry who is champion, at the start and when a loop is new here: a missed event does no harm."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_contracts.rest.registry import Champion, ModelVersion
from capstan_inference.domain.parts import follows
from capstan_inference.domain.work import ModelToReconcile, PromotionToRollOut
from capstan_inference.tables import DeploymentRow, ModelVersionRow, remember_run
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import CapstanError, NotFound
from capstan_servicekit.peers import Peers
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)


class Reconcile(Work[ModelToReconcile]):
    """Patient: the registry may be away for a while. Models do not wait for one another."""

    Payload = ModelToReconcile
    max_attempts = 10
    concurrency = 4

    def __init__(self, database: Database, peers: Peers, work: WorkQueue) -> None:
        self._database, self._peers, self._work = database, peers, work

    async def run(self, item: WorkItem[ModelToReconcile], lease: Lease) -> None:
        """Enqueue a roll-out where the registry's champion is newer than what serves."""
        project, model = item.project, item.payload.model
        champion = await self._champion(project, model)
        version = None if champion is None else await self._version(champion, project)
        async with lease.finish() as session:
            row = await session.get(DeploymentRow, (project, model))
            if row is None or champion is None:
                return
            if version is not None:
                await remember_run(session, project, model, version.version, version.package, version.run)
            if follows(champion.ledger_sequence, row.ledger_sequence):
                # An earlier attempt may have failed for good: each occasion is a new one.
                promotion = PromotionToRollOut(
                    model, champion.version, champion.package, champion.ledger_sequence, occasion=item.id
                )
                await self._work.add(session, promotion, project=project)

    async def failed(self, session: WriteSession, item: WorkItem[ModelToReconcile], problem: Problem) -> None:
        """Nothing to take back: the next start, and every promotion, bring the champion as well."""

    async def _champion(self, project: str, model: str) -> Champion | None:
        try:
            return await self._peers.get("registry", f"/v1/projects/{project}/models/{model}/champion", Champion)
        except NotFound:
            return None

    async def _version(self, champion: Champion, project: str) -> ModelVersion | None:
        """For the run's id only, so that a registry that is away does not keep a champion from serving."""
        async with self._database.read() as session:
            if await session.get(ModelVersionRow, (project, champion.model, champion.version)) is not None:
                return None
        path = f"/v1/projects/{project}/models/{champion.model}/versions/{champion.version}"
        try:
            return await self._peers.get("registry", path, ModelVersion)
        except CapstanError as error:
            log.warning("version.run_unknown", model=champion.model, version=champion.version, error=error.detail)
            return None
