"""Routes of runs and their logs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from capstan_contracts.ids import Name, Uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.training import Run, RunRequest
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer
from capstan_training.actions.cancel_run import CancelRun
from capstan_training.actions.follow_log import FollowLog
from capstan_training.actions.read_runs import PAGE, ReadRuns
from capstan_training.actions.request_run import RequestRun

RunPath = Annotated[Uuid7, Path(description="the run's id")]


def runs_router(request_run: RequestRun, read: ReadRuns, cancel: CancelRun, logs: FollowLog) -> Router:
    """`/runs`."""
    router = Router(prefix="/v1/projects/{project}/runs", tags=["runs"])

    @router.post("", response_model=Run, status_code=202)
    async def post_run(
        project: ProjectName,
        body: RunRequest,
        principal: Operator,
        response: Response,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Run:
        """Start a run by hand."""
        run = await request_run(project, body, by=principal.id, key=idempotency_key)
        response.headers["location"] = f"/v1/projects/{project}/runs/{run.id}"
        return run

    @router.get("", response_model=Page[Run])
    async def list_runs(
        project: ProjectName,
        _: Viewer,
        loop: Annotated[Name | None, Query()] = None,
        cursor: Annotated[Uuid7 | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> Page[Run]:
        """Runs, newest first."""
        return await read.page(project, loop=loop, before=cursor, limit=limit)

    @router.get("/{run}", response_model=Run)
    async def get_run(project: ProjectName, run: RunPath, _: Viewer) -> Run:
        """A run with its pins, stage and progress."""
        return await read.by_id(project, run)

    @router.post("/{run}/cancel", response_model=Run)
    async def cancel_run(project: ProjectName, run: RunPath, _: Operator) -> Run:
        """Stop a run and everything that it started."""
        return await cancel(project, run)

    @router.get("/{run}/logs", response_class=StreamingResponse)
    async def run_logs(
        project: ProjectName, run: RunPath, _: Viewer, follow: Annotated[bool, Query()] = False
    ) -> StreamingResponse:
        """The log as text; with `follow` as server-sent events until the run ends."""
        if not follow:
            return StreamingResponse(await logs.text(project, run), media_type="text/plain; charset=utf-8")
        events = _server_sent(await logs.follow(project, run))
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})

    return router


async def _server_sent(events: AsyncIterator[tuple[str, str]]) -> AsyncIterator[str]:
    """Server-sent events (WHATWG HTML, 9.2): one per line, comments while nothing comes, at last `end`."""
    async for kind, text in events:
        if kind == "wait":
            yield ": waiting\n\n"
        elif kind == "line":
            yield f"data: {text}\n\n"
        else:
            yield f"event: end\ndata: {json.dumps({'state': text})}\n\n"
