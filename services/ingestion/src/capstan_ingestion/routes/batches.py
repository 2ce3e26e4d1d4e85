"""Look at batches, at what was wrong with them, and check them again."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from capstan_contracts.ids import Name, Uuid7, Version
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Batch, BatchState, FailingRows
from capstan_ingestion.actions.read_batches import ReadBatches
from capstan_ingestion.actions.replay_batch import ReplayBatch
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer


def batches_router(read: ReadBatches, replay_batch: ReplayBatch) -> Router:
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
        return await read.page(project, dataset, state=state, limit=limit, before=cursor)

    @router.get("/batches/{batch}", response_model=Batch)
    async def one(project: ProjectName, batch: Version, _: Viewer) -> Batch:
        """A batch by its digest (12 or more characters); where the bytes came to several places, the newest."""
        return await read.one(project, batch)

    @router.get("/batches/{batch}/failing-rows", response_model=FailingRows)
    async def failing_rows(project: ProjectName, batch: Version, _: Viewer) -> FailingRows:
        """The rows that broke the contract, with their place in the file; `total` counts those not shown too."""
        return await read.failing_rows(project, batch)

    @router.post("/batches/{batch}/replay", response_model=Batch, status_code=202)
    async def replay(project: ProjectName, batch: Version, _: Operator) -> Batch:
        """Check the same bytes again under the present contract."""
        return await replay_batch(project, batch)

    return router
