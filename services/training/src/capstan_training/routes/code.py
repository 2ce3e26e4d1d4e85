"""Routes of recipe archives."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from capstan_contracts.ids import Digest
from capstan_contracts.rest.training import CodeArchive
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Admin, ProjectName, Viewer
from capstan_training.actions.read_code import ReadCode
from capstan_training.actions.store_code import StoreCode

DigestPath = Annotated[Digest, Path(description="sha256 of the archive's bytes")]


def code_router(store: StoreCode, read: ReadCode) -> Router:
    """`/code`."""
    router = Router(prefix="/v1/projects/{project}/code", tags=["code"])

    @router.put("/{digest}", response_model=CodeArchive, status_code=202)
    async def put_code(project: ProjectName, digest: DigestPath, request: Request, _: Admin) -> CodeArchive:
        """Upload a recipe folder as tar.gz; it is compiled in a job."""
        return await store(project, digest, request.stream())

    @router.get("/{digest}", response_model=CodeArchive)
    async def get_code(project: ProjectName, digest: DigestPath, _: Viewer) -> CodeArchive:
        """An archive and the pipelines that it compiled to."""
        return await read(project, digest)

    return router
