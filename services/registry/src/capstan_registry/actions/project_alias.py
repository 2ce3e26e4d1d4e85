"""MLflow's alias `champion` follows the ledger: a projection, made by work that is tried again until it stands."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_registry.actions.ports import ModelCatalogue
from capstan_registry.domain.model_names import CHAMPION_ALIAS, mlflow_name
from capstan_registry.domain.work import AliasToProject
from capstan_registry.tables import ChampionRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)


class QueueProjection:
    """Enqueues the projection of a champion, in the caller's transaction."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: WriteSession, champion: ChampionRow, *, occasion: str = "") -> None:
        """Once per ledger row and occasion."""
        alias = AliasToProject(champion.model, champion.ledger_sequence, occasion)
        await self._work.add(session, alias, project=champion.project)


class ProjectMissingAliases:
    """Enqueues the projection of every champion that MLflow does not show and nobody works on."""

    def __init__(self, database: Database, clock: Clock, work: WorkQueue, queue: QueueProjection) -> None:
        self._database, self._clock, self._work, self._queue = database, clock, work, queue

    async def __call__(self) -> None:
        """Look once."""
        behind = select(ChampionRow).where(ChampionRow.alias_sequence < ChampionRow.ledger_sequence)
        async with self._database.write() as session:
            for champion in (await session.scalars(behind)).all():
                open_items = await self._work.open_items(session, AliasToProject, project=champion.project)
                if champion.model not in {alias.model for alias in open_items}:
                    occasion = self._clock.now().isoformat()
                    await self._queue(session, champion, occasion=occasion)


class ProjectAlias(Work[AliasToProject]):
    """It projects what is true now, so an old item does no harm. Patient: MLflow may have to be started first."""

    Payload = AliasToProject
    max_attempts = 12

    def __init__(self, database: Database, catalogue: ModelCatalogue) -> None:
        self._database, self._catalogue = database, catalogue

    async def run(self, item: WorkItem[AliasToProject], lease: Lease) -> None:
        """Point the alias at the champion, and keep how far it has followed."""
        model = item.payload.model
        async with self._database.read() as session:
            seen = await session.get(ChampionRow, (item.project, model))
        if seen is not None and seen.alias_sequence < seen.ledger_sequence:
            await self._catalogue.set_alias(mlflow_name(item.project, model), CHAMPION_ALIAS, seen.version)
        async with lease.finish() as session:
            champion = await session.get(ChampionRow, (item.project, model))
            if champion is not None and seen is not None:
                champion.alias_sequence = max(champion.alias_sequence, seen.ledger_sequence)

    async def failed(self, session: WriteSession, item: WorkItem[AliasToProject], problem: Problem) -> None:
        """The reconciler enqueues it again."""
        log.error("alias.not_projected", model=item.payload.model, project=item.project, detail=problem.detail)
