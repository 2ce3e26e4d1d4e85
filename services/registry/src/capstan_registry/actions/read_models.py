"""Look at models, versions and champions."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import func, select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import Champion, Model, ModelVersion
from capstan_registry.domain.ledger import APPROVED
from capstan_registry.domain.model_names import CHAMPION_ALIAS
from capstan_registry.tables import ChampionRow, LedgerRow, VersionRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import NotFound


async def list_models(session: ReadSession, project: str) -> Page[Model]:
    """Models by name, with their newest version and their champion."""
    counted = await session.execute(
        select(VersionRow.model, func.count(), func.max(VersionRow.version))
        .where(VersionRow.project == project)
        .group_by(VersionRow.model)
        .order_by(VersionRow.model)
    )
    champions = await _champions(session, project)
    return Page(
        items=[
            Model(name=name, versions=count, newest=newest, champion=champions.get(name))
            for name, count, newest in counted.all()
        ]
    )


async def list_versions(session: ReadSession, project: str, model: str) -> Page[ModelVersion]:
    """Versions of a model, newest first. NotFound when it has none."""
    rows = await session.scalars(
        select(VersionRow)
        .where(VersionRow.project == project, VersionRow.model == model)
        .order_by(VersionRow.version.desc())
    )
    found = rows.all()
    if not found:
        raise NotFound(f"no model {model!r} in project {project!r}")
    champion = (await _champions(session, project)).get(model)
    return Page(items=[_version(row, champion) for row in found])


async def get_version(session: ReadSession, project: str, model: str, version: int) -> ModelVersion:
    """One version."""
    row = await session.get(VersionRow, (project, model, version))
    if row is None:
        raise NotFound(f"no version {version} of model {model!r} in project {project!r}")
    return _version(row, (await _champions(session, project)).get(model))


async def get_champion(session: ReadSession, project: str, model: str, at: datetime | None) -> Champion:
    """Which version was production at a time (now when not given), and why: read from the ledger alone."""
    approved = (LedgerRow.project == project, LedgerRow.model == model, LedgerRow.decision == APPROVED)
    rows = (await session.scalars(select(LedgerRow).where(*approved).order_by(LedgerRow.sequence))).all()
    reached = [row for row in rows if at is None or row.at <= at]
    if not reached:
        when = f" at {at.isoformat()}" if at else ""
        raise NotFound(f"model {model!r} had no champion{when} in project {project!r}")
    row = reached[-1]
    return Champion(
        model=model,
        version=row.version,
        package=row.package,
        since=row.at,
        until=rows[len(reached)].at if len(reached) < len(rows) else None,
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
