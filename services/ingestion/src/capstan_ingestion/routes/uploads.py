"""The two ways in for a batch: a body, or an address to fetch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from capstan_contracts.errors import Code
from capstan_contracts.ids import Digest, Name
from capstan_contracts.rest.ingestion import Batch, PullRequest
from capstan_ingestion.actions.pull_batch import PullBatch
from capstan_ingestion.actions.receive_batch import ReceiveBatch, Upload
from capstan_ingestion.domain.batch import OPEN
from capstan_ingestion.domain.files import PARTITION_PATTERN, Media, is_filename, media_of
from capstan_servicekit.errors import BadRequest, Invalid, UnsupportedMedia, broken
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName

UPLOADS = r"^/v1/projects/[^/]+/datasets/[^/]+/batches$"
"""Paths whose body is streamed and may be as large as an upload."""

Key = Annotated[str | None, Header(alias="Idempotency-Key")]


def uploads_router(receive: ReceiveBatch, pull_batch: PullBatch) -> Router:
    """Routes that take batches in."""
    router = Router(prefix="/v1/projects/{project}", tags=["batches"])

    @router.post("/datasets/{dataset}/batches", response_model=Batch, status_code=202)
    async def upload(
        request: Request,
        response: Response,
        project: ProjectName,
        dataset: Name,
        _: Operator,
        partition: Annotated[str, Query(pattern=PARTITION_PATTERN)],
        filename: Annotated[str | None, Query(max_length=255)] = None,
        replaces: Annotated[Digest | None, Query()] = None,
        key: Key = None,
    ) -> Batch:
        """Send a Parquet or CSV file as the body. 202 while it is checked; 200 when these bytes are known."""
        media = _media(request, filename)
        name = filename or f"{partition}.{media}"
        batch = Upload(project, dataset, partition, name, media, replaces=replaces, key=key)
        return _answer(await receive(batch, _body(request)), response)

    @router.post("/datasets/{dataset}/pulls", response_model=Batch, status_code=202)
    async def pull(
        response: Response, project: ProjectName, dataset: Name, body: PullRequest, _: Operator, key: Key = None
    ) -> Batch:
        """Fetch a Parquet or CSV file from an address."""
        return _answer(await pull_batch(project, dataset, body, key), response)

    return router


def _answer(batch: Batch, response: Response) -> Batch:
    response.status_code = 202 if batch.state in OPEN else 200
    return batch


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise BadRequest("The upload ended before the whole file had arrived; nothing of it was kept") from error


def _media(request: Request, filename: str | None) -> Media:
    if filename is not None and not is_filename(filename):
        raise Invalid(
            "The file name is not a plain name",
            errors=broken("query.filename", "1 to 255 characters, no folder, no control character"),
            code=Code.INVALID_NAME,
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMedia(
            f"The body is encoded as {encoding[:40]}; batches are taken as they are",
            hint="Send the file without compressing it; Parquet is compressed inside.",
            errors=broken("header Content-Encoding", "not there"),
        )
    media = media_of(request.headers.get("content-type", ""), filename)
    if media is None:
        raise UnsupportedMedia(
            "Neither the content type nor the file name says whether this is Parquet or CSV",
            hint="Send `Content-Type: application/vnd.apache.parquet` or `text/csv`, or ?filename= with an ending.",
            errors=broken("header Content-Type", "application/vnd.apache.parquet or text/csv"),
        )
    return media
