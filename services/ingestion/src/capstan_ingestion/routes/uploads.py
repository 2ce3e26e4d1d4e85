"""The two ways in for a batch: a body, or an address to fetch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from capstan_contracts.errors import Code
from capstan_contracts.ids import Digest, Name
from capstan_contracts.kinds.family import nearest
from capstan_contracts.rest.ingestion import Batch, PullRequest
from capstan_ingestion.actions.pull_batch import PullBatch
from capstan_ingestion.actions.receive_batch import ReceiveBatch, Upload
from capstan_ingestion.domain.batch import OPEN
from capstan_ingestion.domain.files import (
    PARTITION_PATTERN,
    TAR,
    Form,
    endings,
    form_of,
    installed_media,
    is_filename,
)
from capstan_servicekit.errors import BadRequest, Invalid, UnsupportedMedia, broken
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName

UPLOADS = r"^/v1/projects/[^/]+/datasets/[^/]+/batches$"
"""Paths whose body is streamed and may be as large as an upload."""

_ENCODINGS = ("identity", "gzip", "x-gzip")

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
        media: Annotated[str | None, Query(max_length=63, description="the medium, where no name tells it")] = None,
        replaces: Annotated[Digest | None, Query()] = None,
        allow_duplicate: Annotated[
            bool, Query(description="another partition may hold the same bytes; keys stay unique all the same")
        ] = False,
        key: Key = None,
    ) -> Batch:
        """Send a file as the body, or a folder of files as a tar. 202 while it is checked; 200 when it is known."""
        form = _form(request, filename, media)
        name = filename or f"{partition}.{form.medium}{'.gz' if form.gzip else ''}"
        batch = Upload(
            project, dataset, partition, name, form, replaces=replaces, key=key, allow_duplicate=allow_duplicate
        )
        return _answer(await receive(batch, _body(request)), response)

    @router.post("/datasets/{dataset}/pulls", response_model=Batch, status_code=202)
    async def pull(
        response: Response, project: ProjectName, dataset: Name, body: PullRequest, _: Operator, key: Key = None
    ) -> Batch:
        """Fetch a file from an address."""
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


def _form(request: Request, filename: str | None, medium: str | None) -> Form:
    if filename is not None and not is_filename(filename):
        raise Invalid(
            "The file name is not a plain name",
            errors=broken("query.filename", "1 to 255 characters, no folder, no control character"),
            code=Code.INVALID_NAME,
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in _ENCODINGS:
        raise UnsupportedMedia(
            f"The body is encoded as {encoding[:40]}; gzip is the one encoding that is taken",
            hint="Send the file without compressing it, or with gzip; Parquet is compressed inside.",
            errors=broken("header Content-Encoding", "gzip, or not there"),
        )
    known = installed_media()
    if medium is not None and medium not in (*known, TAR):
        close = nearest(medium, (*known, TAR))
        raise UnsupportedMedia(
            f"There is no medium {medium!r}" + (f"; did you mean {close!r}?" if close else ""),
            hint="A medium from outside is installed beside capstan-ingestion.",
            errors=broken("query.media", f"one of {', '.join((*known, TAR))}"),
        )
    content_type = request.headers.get("content-type", "")
    form = form_of(filename, content_type=content_type, encoding=encoding, medium=medium)
    if form is None:
        raise UnsupportedMedia(
            "Neither the content type nor the file name says what the file is",
            hint=f"Send `Content-Type: text/csv`, or ?filename= with an ending ({endings()}), or ?media=csv.",
            errors=broken("header Content-Type", "that of Parquet, CSV, JSON lines, Arrow or tar"),
        )
    return form
