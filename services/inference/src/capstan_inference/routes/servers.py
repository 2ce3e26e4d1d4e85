"""What model servers on a cluster call: their package, their closed log segments, and a report each second."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from capstan_contracts.base import Instant
from capstan_contracts.ids import DIGEST_PATTERN, NAME_PATTERN
from capstan_contracts.rest.inference import ServerOrders, ServerReport, ShippedSegment
from capstan_inference.actions.take_report import TakeReport
from capstan_inference.actions.take_segment import TakeSegment
from capstan_servicekit.errors import BadRequest
from capstan_servicekit.http.routing import Router
from capstan_servicekit.objects.folder import stream_to_file
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.security.auth import ProjectName, ServiceIdentity

UPLOADS = r"^/v1/projects/[^/]+/deployments/[^/]+/segments/[^/]+$"
"""Paths whose body is streamed."""

NamePath = Annotated[str, Path(pattern=NAME_PATTERN)]
DigestPath = Annotated[str, Path(pattern=DIGEST_PATTERN)]
ServerPath = Annotated[str, Path(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", description="the pod's name")]


def servers_router(objects: ObjectStore, reports: TakeReport, segments: TakeSegment, scratch: File) -> Router:
    """Routes under a deployment. `scratch`: a folder in which bytes lie while they are being looked at."""
    router = Router(prefix="/v1/projects/{project}/deployments/{deployment}", tags=["model servers"])

    @router.get("/packages/{digest}")
    async def package(
        _: ServiceIdentity, project: ProjectName, deployment: NamePath, digest: DigestPath
    ) -> FileResponse:
        """The bytes of a model package of the project."""
        return FileResponse(await objects.local_path(project, digest), media_type="application/x-tar")

    @router.put("/segments/{digest}")
    async def segment(
        _: ServiceIdentity,
        request: Request,
        project: ProjectName,
        deployment: NamePath,
        digest: DigestPath,
        closed_at: Annotated[Instant, Query()],
    ) -> ShippedSegment:
        """Store a closed segment of the prediction log and tell of it. The same segment again changes nothing."""
        with _folder_in(scratch) as folder:
            file = File(folder) / digest
            arrived, _size = await stream_to_file(_body(request), file)
            return await segments(project, deployment, digest, file, arrived, closed_at)

    @router.put("/servers/{server}")
    async def report(
        _: ServiceIdentity, project: ProjectName, deployment: NamePath, server: ServerPath, body: ServerReport
    ) -> ServerOrders:
        """Where a model server stands; the answer says what is wanted of it."""
        return await reports(project, deployment, server, body)

    return router


def _folder_in(scratch: File) -> tempfile.TemporaryDirectory[str]:
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=scratch)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise BadRequest("The segment ended before all of it had arrived; nothing of it was kept") from error
