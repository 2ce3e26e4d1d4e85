"""Look at the versions of a dataset."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Manifest
from capstan_ingestion.tables import VersionRow, dataset_row, version_row
from capstan_servicekit.db.session import Database


class ReadVersions:
    """Versions as their manifests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, project: str, dataset: str, version: str) -> Manifest:
        """One version by its name or the beginning of it; NotFound."""
        async with self._database.read() as session:
            row = await version_row(session, project, dataset, version)
        return row.manifest

    async def page(self, project: str, dataset: str, *, limit: int, before: int | None) -> Page[Manifest]:
        """Versions, newest first, from the one before the sequence number `before`."""
        query = select(VersionRow).where(VersionRow.project == project, VersionRow.dataset == dataset)
        if before is not None:
            query = query.where(VersionRow.sequence < before)
        async with self._database.read() as session:
            await dataset_row(session, project, dataset)
            rows = list((await session.scalars(query.order_by(VersionRow.sequence.desc()).limit(limit + 1))).all())
        items = [row.manifest for row in rows[:limit]]
        return Page(items=items, next=str(items[-1].sequence) if len(rows) > limit else None)
