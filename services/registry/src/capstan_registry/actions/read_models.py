"""Look at models, versions and champions."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import func, select

from capstan_contracts.first_champion import HINT
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import Champion, Model, ModelVersion
from capstan_registry.domain.ledger import CROWNED
from capstan_registry.domain.model_names import CHAMPION_ALIAS
from capstan_registry.tables import ChampionRow, LedgerRow, VersionRow, version_row
from capstan_servicekit.db.session import Database, ReadSession
from capstan_servicekit.errors import NotFound


class ReadModels:
    """Everything that people and programs look at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def models(self, project: str) -> Page[Model]:
        """Models by name, with their newest version and their champion."""
        per_model = (
            select(VersionRow.model, func.count(), func.max(VersionRow.version))
            .where(VersionRow.project == project)
            .group_by(VersionRow.model)
            .order_by(VersionRow.model)
        )
        async with self._database.read() as session:
            counted = (await session.execute(per_model)).all()
            champions = await _champions(session, project)
        return Page(
            items=[
                Model(name=name, versions=count, newest=newest, champion=champions.get(name))
                for name, count, newest in counted
            ]
        )

    async def versions(self, project: str, model: str) -> Page[ModelVersion]:
        """Versions of a model, newest first. NotFound when it has none."""
        of_model = (VersionRow.project == project, VersionRow.model == model)
        async with self._database.read() as session:
            rows = (
                await session.scalars(select(VersionRow).where(*of_model).order_by(VersionRow.version.desc()))
            ).all()
            champions = await _champions(session, project)
        if not rows:
            raise NotFound(f"no model {model!r} in project {project!r}")
        return Page(items=[_version(row, champions.get(model)) for row in rows])

    async def version(self, project: str, model: str, version: int) -> ModelVersion:
        """One version."""
        async with self._database.read() as session:
            row = await version_row(session, project, model, version)
            champions = await _champions(session, project)
        return _version(row, champions.get(model))

    async def champion(self, project: str, model: str, at: datetime | None) -> Champion:
        """Which version was production at a time (now when not given), and why: read from the ledger alone.

        The order is the ledger's, and not that of its clock, which may have been set back in between: of the decisions
        that were made by then, the last one counts. It counted until the earliest time of those after it in the ledger.
        """
        crowned = (LedgerRow.project == project, LedgerRow.model == model, LedgerRow.decision.in_(CROWNED))
        async with self._database.read() as session:
            rows = (await session.scalars(select(LedgerRow).where(*crowned).order_by(LedgerRow.sequence))).all()
        reached = [row for row in rows if at is None or row.at <= at]
        if not reached:
            when = f" at {at.isoformat()}" if at else ""
            raise NotFound(f"model {model!r} had no champion{when} in project {project!r}", hint=HINT)
        row = reached[-1]
        later = [entry.at for entry in rows if entry.sequence > row.sequence]
        return Champion(
            model=model,
            version=row.version,
            package=row.package,
            since=row.at,
            until=min(later, default=None),
            ledger_sequence=row.sequence,
            gates=json.loads(row.gates),
        )


async def _champions(session: ReadSession, project: str) -> dict[str, int]:
    rows = await session.scalars(select(ChampionRow).where(ChampionRow.project == project))
    return {row.model: row.version for row in rows}


def _version(row: VersionRow, champion: int | None) -> ModelVersion:
    return ModelVersion(
        model=row.model,
        version=row.version,
        package=row.package,
        run=row.run,
        holdout=row.holdout,
        dataset=row.dataset,
        dataset_version=row.dataset_version,
        aliases=[CHAMPION_ALIAS] if row.version == champion else [],
        metrics=row.metrics,
        created_at=row.created_at,
    )
