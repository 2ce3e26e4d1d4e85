"""Versions of a dataset, as manifests and as `.dvc` files."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import PlainTextResponse

from capstan_contracts.ids import Name, Version
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Manifest
from capstan_ingestion.actions.read_versions import ReadVersions
from capstan_ingestion.domain.versions import dvc_file
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import ProjectName, Viewer


def versions_router(read: ReadVersions) -> Router:
    """Routes of versions."""
    router = Router(prefix="/v1/projects/{project}/datasets/{dataset}", tags=["versions"])

    @router.get("/versions", response_model=Page[Manifest])
    async def versions(
        project: ProjectName,
        dataset: Name,
        _: Viewer,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[int | None, Query(ge=1)] = None,
    ) -> Page[Manifest]:
        """All versions, newest first; `cursor` is the sequence number before which to go on."""
        return await read.page(project, dataset, limit=limit, before=cursor)

    @router.get("/versions/{version}", response_model=Manifest)
    async def one(project: ProjectName, dataset: Name, version: Version, _: Viewer) -> Manifest:
        """A version by its name, or 12 or more characters of it."""
        return await read.one(project, dataset, version)

    @router.get("/versions/{version}/dvc", response_class=PlainTextResponse)
    async def dvc(project: ProjectName, dataset: Name, version: Version, _: Viewer) -> PlainTextResponse:
        """The `.dvc` file: beside it, `dvc pull` from the project's store gets exactly this version."""
        return PlainTextResponse(dvc_file(await read.one(project, dataset, version)))

    return router
