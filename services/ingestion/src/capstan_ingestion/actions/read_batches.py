"""Look at batches and at the rows that broke their contract."""

from __future__ import annotations

import json

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Batch, BatchState, FailingRows
from capstan_ingestion.actions.describe_batch import DescribeBatch
from capstan_ingestion.domain.batch import OPEN
from capstan_ingestion.tables import BatchRow, batch_row, dataset_row
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Conflict
from capstan_servicekit.objects.port import ObjectStore


class ReadBatches:
    """Batches as callers see them."""

    def __init__(self, database: Database, objects: ObjectStore, describe: DescribeBatch) -> None:
        self._database, self._objects, self._describe = database, objects, describe

    async def one(self, project: str, digest: str) -> Batch:
        """One batch; NotFound."""
        async with self._database.read() as session:
            return await self._describe(session, await batch_row(session, project, digest))

    async def page(
        self, project: str, dataset: str, *, state: BatchState | None, limit: int, before: str | None
    ) -> Page[Batch]:
        """Batches of a dataset, newest first, from the one before the row id `before`."""
        query = select(BatchRow).where(BatchRow.project == project, BatchRow.dataset == dataset)
        if state is not None:
            query = query.where(BatchRow.state == state)
        if before is not None:
            query = query.where(BatchRow.id < before)
        async with self._database.read() as session:
            await dataset_row(session, project, dataset)
            rows = list((await session.scalars(query.order_by(BatchRow.id.desc()).limit(limit + 1))).all())
            items = [await self._describe(session, row) for row in rows[:limit]]
        return Page(items=items, next=rows[limit - 1].id if len(rows) > limit else None)

    async def failing_rows(self, project: str, digest: str) -> FailingRows:
        """The kept failing rows; Conflict while the batch has no verdict."""
        async with self._database.read() as session:
            row = await batch_row(session, project, digest)
        if row.state in OPEN:
            raise Conflict(f"Batch {row.digest[:12]} is still being checked", hint="Ask again when it has a verdict.")
        rows = json.loads(await self._objects.read(project, row.failing_rows)) if row.failing_rows else []
        return FailingRows(batch=row.digest, total=row.failing_total, rows=rows)
