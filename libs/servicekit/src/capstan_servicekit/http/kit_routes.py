"""Routes that every service has: health, metrics, documentation, browser sessions, dead letters."""

from __future__ import annotations

import importlib.util
import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import select

from capstan_contracts.rest.common import DeadLetter, Page, ServiceStatus, SessionLink
from capstan_servicekit.db.tables import DeadLetterRow
from capstan_servicekit.errors import Invalid, NotFound, broken
from capstan_servicekit.http.routing import Router
from capstan_servicekit.runtime import Service
from capstan_servicekit.security.auth import Admin, Anybody, Operator, ProjectName, Viewer, ViewerByToken

LINK_SECONDS = 60


def kit_router(service: Service, app: FastAPI) -> Router:
    """The chassis' routes of `service`."""
    router = Router()
    _health(router, service, app)
    _browser(router, service, app)
    _events(router, service)
    return router


def _health(router: Router, service: Service, app: FastAPI) -> None:
    @router.get("/healthz", tags=["health"])
    async def healthz(_: Anybody, response: Response) -> dict[str, str]:
        """The process works: its loop, and its way to the database. A database server that is away is not its fault."""
        database = service.kit.database
        missing = await database.check()
        if missing is None:
            return {"status": "alive"}
        # A file has no server that could be away: who cannot read it is stuck.
        response.status_code = 503 if database.sqlite else 200
        return {"status": "stuck" if database.sqlite else "alive", "database": missing}

    @router.get("/readyz", tags=["health"], response_model=ServiceStatus)
    async def readyz(_: Anybody, response: Response) -> ServiceStatus:
        """The service can serve; 503 says what is missing."""
        missing = await service.missing()
        response.status_code = 503 if missing else 200
        return ServiceStatus(
            service=service.kit.service, ready=not missing, missing=missing, warnings=service.warnings(),
            version=app.version,
        )  # fmt: skip

    @router.get("/metrics", tags=["health"])
    async def metrics(_: Anybody) -> Response:
        """Prometheus metrics; they hold no data of users."""
        return Response(generate_latest(service.kit.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _browser(router: Router, service: Service, app: FastAPI) -> None:
    principals, cookie = service.kit.principals, f"capstan_{service.kit.service}"

    @router.post("/v1/session-links", tags=["browser"], response_model=SessionLink)
    async def session_link(
        principal: ViewerByToken, request: Request, path: Annotated[str, Query()] = "/docs"
    ) -> SessionLink:
        """A one-time address that opens `path` in a browser, for reading, without a token."""
        if not path.startswith("/") or path.startswith("//") or "\\" in path:
            raise Invalid("The path must be one of this service", errors=broken("query.path", "starts with one /"))
        code = principals.new_link(principal.id, path, seconds=LINK_SECONDS)
        return SessionLink(url=f"{str(request.base_url).rstrip('/')}/session/{code}", expires_in_s=LINK_SECONDS)

    @router.get("/session/{code}", tags=["browser"])
    async def session(_: Anybody, code: str) -> Response:
        """Exchange the code for a cookie."""
        found = principals.redeem(code)
        if found is None:
            raise NotFound("This address was used already or is too old", hint="Run `capstan open` again.")
        response = RedirectResponse(found[1], status_code=303)
        response.set_cookie(cookie, found[0], httponly=True, samesite="strict", path="/")
        return response

    @router.get("/openapi.json", tags=["browser"])
    async def openapi(_: Viewer) -> JSONResponse:
        """The OpenAPI description of this service."""
        return JSONResponse(app.openapi())

    @router.get("/docs", tags=["browser"])
    async def docs(_: Viewer) -> HTMLResponse:
        """The routes as a page."""
        return get_swagger_ui_html(
            openapi_url="/openapi.json", title=app.title, swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css", swagger_favicon_url="data:,",
        )  # fmt: skip

    @router.get("/docs/{file}", tags=["browser"])
    async def docs_file(_: Viewer, file: Literal["swagger-ui-bundle.js", "swagger-ui.css"]) -> FileResponse:
        """What the page needs; it comes from a package, so that the page works without the internet."""
        return FileResponse(_swagger_files() / file)


def _swagger_files() -> Path:
    spec = importlib.util.find_spec("fastapi_swagger")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("the package fastapi-swagger is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "resources"


def _events(router: Router, service: Service) -> None:
    database = service.kit.database

    @router.get("/v1/projects/{project}/dead-letters", tags=["events"], response_model=Page[DeadLetter])
    async def dead_letters(project: ProjectName, _: Viewer) -> Page[DeadLetter]:
        """Events that this service could not take, newest first."""
        async with database.read() as session:
            rows = await session.scalars(
                select(DeadLetterRow)
                .where(DeadLetterRow.project == project)
                .order_by(DeadLetterRow.failed_at.desc())
                .limit(200)
            )
            return Page(items=[_letter(service.kit.service, row) for row in rows])

    @router.post("/v1/projects/{project}/dead-letters/{letter}/replay", tags=["events"], response_model=DeadLetter)
    async def replay(project: ProjectName, letter: str, _: Operator) -> DeadLetter:
        """Hand an event to its handler again; its error is the answer."""
        await service.inbox.replay(project, letter)
        async with database.read() as session:
            row = await session.get(DeadLetterRow, letter)
            if row is None:
                raise NotFound(f"no dead letter {letter}")
            return _letter(service.kit.service, row)

    @router.post("/v1/projects/{project}/events/reconcile", tags=["events"])
    async def reconcile(
        project: ProjectName, _: Admin, hours: Annotated[float, Query(gt=0, le=24 * 90)] = 24
    ) -> dict[str, int]:
        """Publish again what this service published lately of the project, for a stream that was lost."""
        return {"events": await service.relay.reconcile(project, timedelta(hours=hours))}


def _letter(consumer: str, row: DeadLetterRow) -> DeadLetter:
    try:
        envelope = json.loads(row.body)
    except ValueError:
        envelope = {}
    return DeadLetter(
        id=row.id,
        consumer=consumer,
        event_id=row.event_id,
        event_type=row.event_type,
        reason=row.reason,
        attempts=row.attempts,
        failed_at=row.failed_at,
        envelope=envelope if isinstance(envelope, dict) else {},
        replayed=row.replayed,
    )
