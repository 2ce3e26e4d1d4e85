"""`/mlflow/...`: MLflow's REST API and pages, behind Capstan's permissions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

from fastapi import Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from capstan_registry.actions.proxy_request import ProxyRequest, ProxyRequests
from capstan_servicekit.errors import CapstanError
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Viewer
from capstan_servicekit.telemetry.trace import request_id

PREFIX = b"/mlflow/"
UPLOADS = r"^/mlflow/(ajax-)?api/2\.0/mlflow-artifacts/"
_MLFLOW_CODES = {
    400: "BAD_REQUEST",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    422: "INVALID_PARAMETER_VALUE",
    503: "TEMPORARILY_UNAVAILABLE",
}


def mlflow_router(requests: ProxyRequests) -> Router:
    """The proxy."""
    router = Router(tags=["mlflow"])

    @router.get("/mlflow", include_in_schema=False)
    async def without_slash(_: Viewer) -> Response:
        """The page's own links need the slash."""
        return RedirectResponse("/mlflow/", status_code=303)

    @router.api_route("/mlflow/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def proxy(request: Request, principal: Viewer) -> Response:
        """Reads pass for viewers, run logging for operators; what would go round the ledger is refused."""
        raw = request.scope.get("raw_path") or request.url.path.encode()
        came = ProxyRequest(
            principal=principal,
            method=request.method,
            raw_path=raw.partition(b"?")[0].removeprefix(PREFIX),
            query=request.url.query,
            headers=dict(request.headers),
            body=request.stream(),
        )
        return await _answer(requests, came, request.url.path)

    return router


async def _answer(requests: ProxyRequests, came: ProxyRequest, path: str) -> Response:
    stack = AsyncExitStack()
    try:
        admitted = await requests(came)
        answer = await stack.enter_async_context(admitted.answer)
    except CapstanError as error:
        return _refusal(error, path)
    headers = dict(answer.headers) | {"x-content-type-options": "nosniff", "x-frame-options": "DENY"}
    if admitted.artifact:
        # A user's file must not run as a page of this origin.
        headers["content-security-policy"] = "sandbox"
    return _Relayed(answer.chunks, stack, status_code=answer.status, headers=headers)


class _Relayed(StreamingResponse):
    """Closes the connection behind the proxy also when the caller goes away in the middle."""

    def __init__(
        self, chunks: AsyncIterator[bytes], stack: AsyncExitStack, *, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(chunks, status_code=status_code, headers=headers)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stack.aclose()


def _refusal(error: CapstanError, path: str) -> JSONResponse:
    """Problem details that MLflow's own client can read: it looks for `error_code` and `message`."""
    problem = error.problem(instance=path, request_id=request_id())
    body: dict[str, object] = problem.model_dump(mode="json", exclude_none=True)
    body["error_code"] = _MLFLOW_CODES.get(problem.status, "INTERNAL_ERROR")
    body["message"] = f"{problem.detail}. {problem.hint}".strip()
    headers = {"retry-after": "1"} if problem.status == 503 else {}
    return JSONResponse(body, problem.status, headers=headers, media_type="application/problem+json")
