"""HTTP for all clients: identity, one retry policy, problems as exceptions, waiting for long work.

CapstanProblem   the service said no: `.problem` has code, detail, places and a hint
Unreachable      no service answered
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from capstan_contracts.base import Lenient
from capstan_contracts.errors import Problem
from capstan_contracts.ids import uuid7

M = TypeVar("M", bound=Lenient)
T = TypeVar("T")
_PAUSES_S = (0.1, 0.3, 1.0, 2.0, 4.0)
ABSENT_S = 60.0
"""Who waits for long work waits so long for a service that is being restarted or replaced."""


class CapstanProblem(Exception):
    """A service refused, with a problem body (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        places = "".join(f"\n  {error.place}: {error.rule}" for error in problem.errors)
        hint = f"\n{problem.hint}" if problem.hint else ""
        super().__init__(f"{problem.title}: {problem.detail}{places}{hint}")


class Unreachable(Exception):
    """Nobody answered at the address."""


class Transport:
    """One service of one project."""

    def __init__(self, client: httpx.AsyncClient, base: str, project: str, token: str) -> None:
        self._client, self._base, self.project, self._token = client, base, project, token

    async def get(self, path: str, into: type[M], **params: Any) -> M:
        """GET and parse."""
        return into.model_validate_json((await self.call("GET", path, params=params)).content)

    async def put(self, path: str, body: Any, into: type[M], **params: Any) -> M:
        """PUT and parse."""
        return into.model_validate_json((await self.call("PUT", path, body=body, params=params)).content)

    async def post(self, path: str, body: Any, into: type[M], **params: Any) -> M:
        """POST under a fresh Idempotency-Key, so that a repetition after a cut connection does nothing twice."""
        key = uuid7()
        return into.model_validate_json((await self.call("POST", path, body=body, params=params, key=key)).content)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, Any] | None = None,
        key: str | None = None,
        media: str = "application/json",
        absolute: bool = False,
    ) -> httpx.Response:
        """One request. Cut connections and 503 are tried again: GET and PUT are safe, POST carries its key."""
        headers = {"authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["content-type"] = media
        if key is not None:
            headers["idempotency-key"] = key
        content = body.model_dump_json(by_alias=True) if hasattr(body, "model_dump_json") else body
        given = {name: value for name, value in (params or {}).items() if value is not None}
        url = self._base + (path if absolute else f"/v1/projects/{self.project}{path}")
        for pause in (*_PAUSES_S, None):
            try:
                response = await self._client.request(method, url, headers=headers, content=content, params=given)
            except httpx.TransportError as error:
                if pause is None:
                    raise Unreachable(f"{url} does not answer ({type(error).__name__}). Is the platform up?") from error
            else:
                if response.status_code != 503 or pause is None:
                    return _checked(response)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def stream(self, path: str, **params: Any) -> Any:
        """A streaming GET, as httpx's context manager."""
        url = f"{self._base}/v1/projects/{self.project}{path}"
        headers = {"authorization": f"Bearer {self._token}"}
        return self._client.stream("GET", url, headers=headers, params=params, timeout=None)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(
            title="Unexpected answer", status=response.status_code, code="upstream-unavailable",
            detail=f"{response.request.method} {response.request.url} answered {response.status_code}",
        )  # fmt: skip
    raise CapstanProblem(problem)


async def poll(
    look: Callable[[], Awaitable[T]], done: Callable[[T], bool], *, timeout_s: float, every_s: float = 0.2
) -> T:
    """Look again and again until it is done; TimeoutError names what was seen last.

    A service that is away is waited for, at most `ABSENT_S` at a time; then Unreachable.
    """
    loop = asyncio.get_running_loop()
    until, answered = loop.time() + timeout_s, loop.time()
    seen: T | None = None
    while True:
        try:
            seen = await look()
            answered = loop.time()
            if done(seen):
                return seen
        except Unreachable:
            if loop.time() > min(until, answered + ABSENT_S):
                raise
        if loop.time() > until:
            raise TimeoutError(f"not done after {timeout_s:g} s; last seen: {seen!r}"[:2000])
        await asyncio.sleep(every_s)
