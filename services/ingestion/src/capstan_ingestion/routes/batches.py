"""Look at batches, at what was wrong with them, and check them again."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Query, Response
from sqlalchemy import select

from capstan_contracts.ids import Name, Uuid7, Version
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Batch, BatchState, FailingRows
from capstan_ingestion.actions.lookup import batch_row, dataset_row
from capstan_ingestion.actions.replay_batch import ReplayBatch
from capstan_ingestion.routes.wire import OPEN, batch_wire
from capstan_ingestion.tables import BatchRow
from capstan_servicekit.auth import Operator, ProjectName, Viewer
from capstan_servicekit.errors import Conflict
from capstan_servicekit.routing import Router
from capstan_servicekit.runtime import Kit


def batches_router(kit: Kit, replay_batch: ReplayBatch) -> Router:
    """Routes of batches."""
    router = Router(prefix="/v1/projects/{project}", tags=["batches"])

    @router.get("/datasets/{dataset}/batches", response_model=Page[Batch])
    async def batches(
        project: ProjectName,
        dataset: Name,
        _: Viewer,
        state: Annotated[BatchState | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[Uuid7 | None, Query()] = None,
    ) -> Page[Batch]:
        """The batches of a dataset, newest first."""
        query = select(BatchRow).where(BatchRow.project == project, BatchRow.dataset == dataset)
        if state is not None:
            query = query.where(BatchRow.state == state)
        if cursor is not None:
            query = query.where(BatchRow.id < cursor)
        async with kit.database.read() as session:
            await dataset_row(session, project, dataset)
            rows = list((await session.scalars(query.order_by(BatchRow.id.desc()).limit(limit + 1))).all())
            items = [await batch_wire(session, kit.work, row) for row in rows[:limit]]
        return Page(items=items, next=rows[limit - 1].id if len(rows) > limit else None)

    @router.get("/batches/{batch}", response_model=Batch)
    async def one(project: ProjectName, batch: Version, _: Viewer) -> Batch:
        """A batch by its digest (12 or more characters); where the bytes came to several places, the newest."""
        async with kit.database.read() as session:
            return await batch_wire(session, kit.work, await batch_row(session, project, batch))

    @router.get("/batches/{batch}/failing-rows", response_model=FailingRows)
    async def failing_rows(project: ProjectName, batch: Version, _: Viewer) -> FailingRows:
        """The rows that broke the contract, with their place in the file; `total` counts those not shown too."""
        async with kit.database.read() as session:
            row = await batch_row(session, project, batch)
        if row.state in OPEN:
            raise Conflict(f"Batch {row.digest[:12]} is still being checked", hint="Ask again when it has a verdict.")
        rows = json.loads(await kit.objects.read(project, row.failing_rows)) if row.failing_rows else []
        return FailingRows(batch=row.digest, total=row.failing_total, rows=rows)

    @router.post("/batches/{batch}/replay", response_model=Batch, status_code=202)
    async def replay(project: ProjectName, batch: Version, response: Response, _: Operator) -> Batch:
        """Check the same bytes again under the present contract."""
        row = await replay_batch(project, batch)
        async with kit.database.read() as session:
            return await batch_wire(session, kit.work, row)

    return router
