"""MLflow's alias `champion` follows the ledger: a projection, made by work that is tried again until it stands."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.work import State
from capstan_registry.actions.ports import ModelCatalogue
from capstan_registry.domain.model_names import CHAMPION_ALIAS, mlflow_name
from capstan_registry.tables import ChampionRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.runtime import Kit
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem

log = logger(__name__)
PROJECT_ALIAS = "project-alias"


async def add_projection(kit: Kit, session: WriteSession, champion: ChampionRow, *, suffix: str = "") -> None:
    """Enqueue the projection of this champion."""
    key = f"{champion.model}#{champion.ledger_sequence}{suffix}"
    await kit.work.add(session, PROJECT_ALIAS, key=key, project=champion.project, payload={"model": champion.model})


async def add_missing_projections(kit: Kit) -> None:
    """Enqueue the projection of every champion that MLflow does not show and nobody works on."""
    async with kit.database.write() as session:
        rows = await session.scalars(
            select(ChampionRow).where(ChampionRow.alias_sequence < ChampionRow.ledger_sequence)
        )
        for champion in rows.all():
            open_items = await session.scalars(
                select(WorkRow.payload).where(
                    WorkRow.kind == PROJECT_ALIAS,
                    WorkRow.project == champion.project,
                    WorkRow.state.in_((State.QUEUED, State.RUNNING)),
                )
            )
            if champion.model not in {payload["model"] for payload in open_items}:
                suffix = f"@{kit.clock.now().isoformat()}"
                await add_projection(kit, session, champion, suffix=suffix)


def project_alias_kind(kit: Kit, catalogue: ModelCatalogue) -> WorkKind:
    """The work behind the projection. It projects what is true now, so an old item does no harm."""

    async def run(item: WorkItem, lease: Lease) -> None:
        model = item.payload["model"]
        async with kit.database.read() as session:
            seen = await session.get(ChampionRow, (item.project, model))
        if seen is not None and seen.alias_sequence < seen.ledger_sequence:
            await catalogue.set_alias(mlflow_name(item.project, model), CHAMPION_ALIAS, seen.version)
        async with lease.finish() as session:
            champion = await session.get(ChampionRow, (item.project, model))
            if champion is not None and seen is not None:
                champion.alias_sequence = max(champion.alias_sequence, seen.ledger_sequence)

    async def failed(session: WriteSession, item: WorkItem, problem: Problem) -> None:
        log.error("alias.not_projected", model=item.payload["model"], project=item.project, detail=problem.detail)

    return WorkKind(run, failed, max_attempts=12)
