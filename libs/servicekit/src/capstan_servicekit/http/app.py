"""The HTTP application around a service: problems, limits, trace context, metrics, and permissions on every route."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version as distribution_version
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capstan_contracts.errors import Code, FieldError, Problem, place_of
from capstan_servicekit.errors import CapstanError, NotReady, TooLarge, Unauthenticated
from capstan_servicekit.home import no_room
from capstan_servicekit.http.hosts import KnownHosts
from capstan_servicekit.http.kit_routes import kit_router
from capstan_servicekit.http.routing import declared_routes
from capstan_servicekit.runtime import Service
from capstan_servicekit.security.redact import redact_text
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.trace import request_id, span

log = logger(__name__)


def create_app(service: Service) -> FastAPI:
    """The application. Raises when a route declares no permission."""
    kit = service.kit

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title=f"Capstan {kit.service}",
        version=distribution_version("capstan-servicekit"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.service, app.state.principals, app.state.kit = kit.service, kit.principals, kit
    routers = (kit_router(service, app), *service.routers)
    app.state.declared = declared_routes(routers)
    for router in routers:
        app.include_router(router)
    for error, handler in ((CapstanError, _expected), (RequestValidationError, _invalid), (HTTPException, _http)):
        app.add_exception_handler(error, handler)  # type: ignore[arg-type]
    app.add_middleware(Edge, service=service)
    return app


class Edge:
    """Outermost layer: trace, request id, body limit, metrics, and no trace of an unexpected error in the answer."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._kit = app, service.kit
        self._hosts = KnownHosts(service.kit.settings)
        self._uploads = re.compile(service.uploads) if service.uploads else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        request = uuid4().hex
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request.encode())]
            await send(message)

        with span(headers.get(b"traceparent", b"").decode("latin-1"), request=request):
            try:
                self._hosts.check(scope["path"], scope["headers"])
                limited = self._limited(scope, headers, receive)
                await self._app(scope, limited, answer)
            except CapstanError as error:
                await _response(error.problem(instance=scope["path"], request_id=request))(scope, receive, answer)
            except Exception as error:
                log.exception("request.failed", path=scope["path"], method=scope["method"])
                if status == 500:
                    full = no_room(error, self._kit.settings.home)
                    problem = (
                        _internal(request, scope["path"])
                        if full is None
                        else NotReady(full).problem(instance=scope["path"], request_id=request)
                    )
                    await _response(problem)(scope, receive, answer)
            finally:
                route = getattr(scope.get("route"), "path", "unknown")
                seconds = time.perf_counter() - started
                self._kit.metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)

    def _limited(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        settings = self._kit.settings
        upload = self._uploads is not None and self._uploads.search(scope["path"]) is not None
        limit = settings.max_upload_bytes if upload else settings.max_body_bytes
        refusal = TooLarge(
            f"The body is larger than {limit} bytes", errors=[FieldError(place="body", rule=f"at most {limit} bytes")]
        )
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise refusal
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise refusal
            return message

        return counted


def _internal(request: str, path: str) -> Problem:
    return Problem(
        title=Code.INTERNAL.summary,
        status=Code.INTERNAL.status,
        code=Code.INTERNAL,
        instance=path,
        request_id=request,
        detail="Something went wrong on our side; the log has it under the request id.",
    )


def _response(problem: Problem) -> Response:
    headers = {"www-authenticate": "Bearer"} if problem.status == 401 else {}
    if problem.status == 503:
        headers["retry-after"] = "1"
    body = redact_text(problem.model_dump_json(exclude_none=True))
    return Response(body, status_code=problem.status, media_type="application/problem+json", headers=headers)


async def _expected(request: Request, error: CapstanError) -> Response:
    if error.status >= 500 and not isinstance(error, Unauthenticated):
        log.warning("request.refused", status=error.status, detail=error.detail)
    return _response(error.problem(instance=request.url.path, request_id=request_id()))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    where: dict[str, Any] = {"instance": request.url.path, "request_id": request_id()}
    if any(item["type"] == "json_invalid" for item in found):
        rule = str(found[0].get("ctx", {}).get("error", found[0]["msg"]))
        place = f"body, character {found[0]['loc'][-1]}"
        problem = Problem(
            title=Code.MALFORMED_JSON.summary,
            status=Code.MALFORMED_JSON.status,
            code=Code.MALFORMED_JSON,
            detail=rule,
            errors=[FieldError(place=place, rule=rule)],
            **where,
        )
        return _response(problem)
    code = Code.INVALID_NAME if all(item["loc"][0] == "path" for item in found) else Code.INVALID_BODY
    errors = [FieldError(place=place_of(item["loc"]), rule=item["msg"]) for item in found[:50]]
    problem = Problem(
        title=code.summary,
        status=code.status,
        code=code,
        errors=errors,
        detail=f"{errors[0].place}: {errors[0].rule}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else ""),
        **where,
    )
    return _response(problem)


async def _http(request: Request, error: HTTPException) -> Response:
    code = {404: Code.ROUTE_NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}.get(error.status_code, Code.BAD_REQUEST)
    problem = Problem(
        title=code.summary,
        status=error.status_code,
        code=code,
        instance=request.url.path,
        request_id=request_id(),
        detail=f"{request.method} {request.url.path} is not a route of this service"
        if error.status_code in (404, 405)
        else str(error.detail),
    )
    return _response(problem)
