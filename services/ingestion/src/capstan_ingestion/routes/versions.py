"""Versions of a dataset, as manifests and as `.dvc` files."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import PlainTextResponse
from sqlalchemy import select

from capstan_contracts.ids import Name, Version
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Manifest
from capstan_ingestion.actions.lookup import dataset_row, version_row
from capstan_ingestion.domain.versions import dvc_file
from capstan_ingestion.tables import VersionRow
from capstan_servicekit.auth import ProjectName, Viewer
from capstan_servicekit.routing import Router
from capstan_servicekit.runtime import Kit


def versions_router(kit: Kit) -> Router:
    """Routes of versions."""
    router = Router(prefix="/v1/projects/{project}/datasets/{dataset}", tags=["versions"])

    async def manifest_of(project: str, dataset: str, version: str) -> Manifest:
        async with kit.database.read() as session:
            row = await version_row(session, project, dataset, version)
        return Manifest.model_validate(row.manifest)

    @router.get("/versions", response_model=Page[Manifest])
    async def versions(
        project: ProjectName,
        dataset: Name,
        _: Viewer,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[int | None, Query(ge=1)] = None,
    ) -> Page[Manifest]:
        """All versions, newest first; `cursor` is the sequence number before which to go on."""
        query = select(VersionRow).where(VersionRow.project == project, VersionRow.dataset == dataset)
        if cursor is not None:
            query = query.where(VersionRow.sequence < cursor)
        async with kit.database.read() as session:
            await dataset_row(session, project, dataset)
            rows = list((await session.scalars(query.order_by(VersionRow.sequence.desc()).limit(limit + 1))).all())
        items = [Manifest.model_validate(row.manifest) for row in rows[:limit]]
        return Page(items=items, next=str(items[-1].sequence) if len(rows) > limit else None)

    @router.get("/versions/{version}", response_model=Manifest)
    async def one(project: ProjectName, dataset: Name, version: Version, _: Viewer) -> Manifest:
        """A version by its name, or 12 or more characters of it."""
        return await manifest_of(project, dataset, version)

    @router.get("/versions/{version}/dvc", response_class=PlainTextResponse)
    async def dvc(project: ProjectName, dataset: Name, version: Version, _: Viewer) -> PlainTextResponse:
        """The `.dvc` file: beside it, `dvc pull` from the project's store gets exactly this version."""
        return PlainTextResponse(dvc_file(await manifest_of(project, dataset, version)))

    return router
