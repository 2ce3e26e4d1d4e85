"""Look at datasets."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Dataset
from capstan_ingestion.actions.describe_dataset import DescribeDataset
from capstan_ingestion.tables import DatasetRow, dataset_row
from capstan_servicekit.db.session import Database


class ReadDatasets:
    """Datasets as callers see them."""

    def __init__(self, database: Database, describe: DescribeDataset) -> None:
        self._database, self._describe = database, describe

    async def one(self, project: str, name: str) -> Dataset:
        """One dataset; NotFound."""
        async with self._database.read() as session:
            return await self._describe(session, await dataset_row(session, project, name))

    async def page(self, project: str, *, limit: int, after: str | None) -> Page[Dataset]:
        """Datasets by name, from the one behind `after`."""
        query = select(DatasetRow).where(DatasetRow.project == project).order_by(DatasetRow.name).limit(limit + 1)
        if after is not None:
            query = query.where(DatasetRow.name > after)
        async with self._database.read() as session:
            rows = list((await session.scalars(query)).all())
            items = [await self._describe(session, row) for row in rows[:limit]]
        return Page(items=items, next=items[-1].name if len(rows) > limit else None)
