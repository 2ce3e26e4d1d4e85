"""Datasets."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from capstan_contracts.ids import Name
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Dataset
from capstan_ingestion.actions.put_dataset import PutDataset
from capstan_ingestion.actions.read_datasets import ReadDatasets
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Admin, ProjectName, Viewer


def datasets_router(read: ReadDatasets, put_dataset: PutDataset) -> Router:
    """Routes of datasets."""
    router = Router(prefix="/v1/projects/{project}", tags=["datasets"])

    @router.put("/datasets/{dataset}", response_model=Dataset)
    async def put(project: ProjectName, dataset: Name, spec: DatasetSpec, _: Admin) -> Dataset:
        """Register a dataset, or change it; the same again changes nothing."""
        return await put_dataset(project, dataset, spec)

    @router.get("/datasets", response_model=Page[Dataset])
    async def datasets(
        project: ProjectName,
        _: Viewer,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[Name | None, Query()] = None,
    ) -> Page[Dataset]:
        """All datasets, by name."""
        return await read.page(project, limit=limit, after=cursor)

    @router.get("/datasets/{dataset}", response_model=Dataset)
    async def one(project: ProjectName, dataset: Name, _: Viewer) -> Dataset:
        """A dataset and its newest version."""
        return await read.one(project, dataset)

    return router
