"""Monitors, their windows, reports, quality and retrains."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import TypeAdapter, ValidationError

from capstan_contracts.base import Instant
from capstan_contracts.ids import Name, Uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.monitoring import Monitor, QualityWindow, Retrain, WatermarkRequest, Window
from capstan_monitoring.actions.advance_watermark import AdvanceWatermark
from capstan_monitoring.actions.read_monitors import Cursor, ReadMonitors
from capstan_servicekit.errors import Invalid, broken
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer

REPORT_HEADERS = {
    # The page is made by a library from data of users: it may draw, and reach neither the network nor our cookies.
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; sandbox allow-scripts; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-store",
}
Limit = Annotated[int, Query(ge=1, le=1000)]
_START = TypeAdapter[datetime](Instant)


def monitors_router(read: ReadMonitors, advance: AdvanceWatermark) -> Router:
    """`/monitors`."""
    router = Router(prefix="/v1/projects/{project}/monitors", tags=["monitors"])

    @router.get("", response_model=Page[Monitor])
    async def monitors(
        project: ProjectName, _: Viewer, limit: Limit = 100, cursor: Annotated[Name | None, Query()] = None
    ) -> Page[Monitor]:
        """All monitors, by name."""
        return await read.monitors(project, limit, cursor)

    @router.get("/{loop}", response_model=Monitor)
    async def monitor(project: ProjectName, loop: Annotated[Name, Path()], _: Viewer) -> Monitor:
        """One monitor: the version it watches, how far time has come, how many predictions have their label."""
        return await read.monitor(project, loop)

    @router.post("/{loop}/watermark", response_model=Monitor)
    async def watermark(
        project: ProjectName, loop: Annotated[Name, Path()], body: WatermarkRequest, _: Operator
    ) -> Monitor:
        """Say that all predictions before an event time have been made; windows that end by then are judged."""
        await advance(project, loop, body.event_time)
        return await read.monitor(project, loop)

    @router.get("/{loop}/quality", response_model=list[QualityWindow])
    async def quality(project: ProjectName, loop: Annotated[Name, Path()], _: Viewer) -> list[QualityWindow]:
        """Live quality per window, oldest first."""
        return await read.quality(project, loop)

    @router.get("/{loop}/retrains", response_model=Page[Retrain])
    async def retrains(
        project: ProjectName,
        loop: Annotated[Name, Path()],
        _: Viewer,
        limit: Limit = 100,
        cursor: Annotated[Uuid7 | None, Query()] = None,
    ) -> Page[Retrain]:
        """Retrains that were asked for or withheld, newest first."""
        return await read.retrains(project, loop, limit, cursor)

    _windows(router, read)
    return router


def _windows(router: Router, read: ReadMonitors) -> None:
    @router.get("/{loop}/windows", response_model=Page[Window])
    async def windows(
        project: ProjectName,
        loop: Annotated[Name, Path()],
        _: Viewer,
        limit: Limit = 1000,
        cursor: Annotated[str | None, Query(max_length=60)] = None,
    ) -> Page[Window]:
        """Windows of event time, oldest first."""
        return await read.windows(project, loop, limit, _after(cursor) if cursor is not None else None)

    @router.get("/{loop}/windows/{start}/report", response_class=Response)
    async def report(
        project: ProjectName,
        loop: Annotated[Name, Path()],
        start: Annotated[Instant, Path()],
        _: Viewer,
        version: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    ) -> Response:
        """The report of a window as a page: of one version, or the newest one that served in it."""
        html = await read.report(project, loop, start, version)
        return Response(html, media_type="text/html; charset=utf-8", headers=REPORT_HEADERS)


def _after(cursor: str) -> Cursor:
    start, _, version = cursor.partition("~")
    try:
        moment = _START.validate_python(start)
        if not version.isascii() or not version.isdigit() or len(version) > 9:
            raise ValueError(version)
    except (ValidationError, ValueError) as error:
        raise Invalid(
            "The cursor is none of ours", errors=broken("query.cursor", "`next` of the page before")
        ) from error
    return moment, int(version)
