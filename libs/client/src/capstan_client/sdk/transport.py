"""HTTP for all clients: identity, one retry policy, problems as exceptions, waiting for long work.

SdkError
├── CapstanProblem     the service said no: `.problem` has code, detail, places and a hint
├── UnexpectedAnswer   something answered, but not as a service of the platform does: a proxy's page, cut-off JSON
└── Unreachable        no service answered, or the connection was cut
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from capstan_contracts.base import Lenient
from capstan_contracts.errors import Problem
from capstan_contracts.ids import uuid7

M = TypeVar("M", bound=Lenient)
T = TypeVar("T")
_PAUSES_S = (0.1, 0.3, 1.0, 2.0, 4.0)
_EXCERPT = 120
ABSENT_S = 60.0
"""Who waits for long work waits so long for a service that is being restarted or replaced."""
ANSWER_S, CONNECT_S = 120.0, 3.0
"""Seconds that a service may take to answer, and to accept a connection."""


class SdkError(Exception):
    """What every call of the SDK may raise; the text is a sentence for people."""


class CapstanProblem(SdkError):
    """A service refused, with a problem body (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        places = "".join(f"\n  {error.place}: {error.rule}" for error in problem.errors)
        hint = f"\n{problem.hint}" if problem.hint else ""
        super().__init__(f"{problem.title}: {problem.detail}{places}{hint}")


class NotText(SdkError):
    """Something that is to be sent cannot be written as UTF-8."""

    def __init__(self, method: str, path: str) -> None:
        place = path.encode("ascii", "backslashreplace").decode()
        super().__init__(
            f"{method} {place} is not sent: a name or value holds half of a surrogate pair, which is no character. "
            "It comes from bytes that are not UTF-8, or from an escape such as \\ud800 in a JSON file."
        )


class UnexpectedAnswer(SdkError):
    """An answer that no service of the platform gives; the text names address and status, and quotes its beginning."""

    def __init__(self, response: httpx.Response, why: str) -> None:
        self.status = response.status_code
        request = response.request
        super().__init__(f"{request.method} {request.url} answered {self.status}, {why}.{_quoted(response)}")


class Unreachable(SdkError):
    """Nobody answered at the address."""


def http_client() -> httpx.AsyncClient:
    """The connections of one Capstan object. Redirects are not followed: they would carry the token elsewhere."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S), trust_env=False, follow_redirects=False
    )


class Transport:
    """One service of one project."""

    def __init__(self, client: httpx.AsyncClient, base: str, project: str, token: str) -> None:
        self._client, self._base, self.project, self._token = client, base, project, token

    async def get(self, path: str, into: type[M], **params: Any) -> M:
        """GET and parse."""
        return parsed(await self.call("GET", path, params=params), TypeAdapter(into))

    async def put(self, path: str, body: Any, into: type[M], **params: Any) -> M:
        """PUT and parse."""
        return parsed(await self.call("PUT", path, body=body, params=params), TypeAdapter(into))

    async def post(self, path: str, body: Any, into: type[M], **params: Any) -> M:
        """POST under a fresh Idempotency-Key, so that a repetition after a cut connection does nothing twice."""
        return parsed(await self.call("POST", path, body=body, params=params, key=uuid7()), TypeAdapter(into))

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
        """One request. Cut connections and 503 are tried again: GET and PUT are safe, POST carries its key.

        `path` is of plain text and is encoded here. NotText, CapstanProblem, UnexpectedAnswer; Unreachable after the
        last try, or when the service took the request and did not answer within ANSWER_S.
        """
        headers = self._headers()
        if body is not None:
            headers["content-type"] = media
        if key is not None:
            headers["idempotency-key"] = key
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            content = body.model_dump_json(by_alias=True) if hasattr(body, "model_dump_json") else body
            url = self._url(path, absolute)
            query = str(httpx.QueryParams(given))
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise NotText(method, path) from error
        for pause in (*_PAUSES_S, None):
            try:
                response = await self._client.request(method, url, headers=headers, content=content, params=query)
            except (httpx.ReadTimeout, httpx.UnsupportedProtocol, httpx.DecodingError, httpx.InvalidURL) as error:
                _unreachable(url, error)
            except httpx.TransportError as error:
                if pause is None:
                    _unreachable(url, error)
            else:
                if response.status_code != 503 or pause is None:
                    return checked(response)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def lines(self, path: str, **params: Any) -> AsyncIterator[str]:
        """The lines of an answer as they come, without a limit of time. Errors as in `call`, and no second try."""
        url = self._url(path)
        try:
            async with self._client.stream(
                "GET", url, headers=self._headers(), params=params, timeout=httpx.Timeout(None, connect=CONNECT_S)
            ) as response:
                if not response.is_success:
                    await response.aread()
                checked(response)
                async for line in response.aiter_lines():
                    yield line
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            _unreachable(url, error)

    def _url(self, path: str, absolute: bool = False) -> str:
        return self._base + quote(path if absolute else f"/v1/projects/{self.project}{path}", safe="/:")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"}


def checked(response: httpx.Response) -> httpx.Response:
    """The response of a service that did as asked. CapstanProblem, UnexpectedAnswer."""
    if response.is_success:
        return response
    if response.is_redirect:
        where = response.headers.get("location", "elsewhere")
        raise UnexpectedAnswer(response, f"a redirect to {where} which is not followed, as it would carry the token")
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        raise UnexpectedAnswer(response, "which no service of Capstan says (is there a proxy in between?)") from None
    raise CapstanProblem(problem)


def parsed(response: httpx.Response, into: TypeAdapter[T]) -> T:
    """The body of a successful answer. UnexpectedAnswer when it is cut off, or of another shape."""
    try:
        return into.validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"which cannot be read ({place}: {first['msg']})" if place else f"which cannot be read ({first['msg']})"
        raise UnexpectedAnswer(response, why) from error


def _quoted(response: httpx.Response) -> str:
    text = " ".join(response.text.split())
    if not text:
        return " It had no body."
    return f" It begins: {text[:_EXCERPT]}{'...' if len(text) > _EXCERPT else ''}"


def _unreachable(url: str, error: Exception) -> NoReturn:
    if isinstance(error, httpx.ReadTimeout):
        raise Unreachable(f"{url} took the request and did not answer within {ANSWER_S:g} s.") from error
    raise Unreachable(f"{url} does not answer ({type(error).__name__}). Is the platform up?") from error


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
