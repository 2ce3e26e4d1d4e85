"""Calls to the other services: own identity, trace context, patience with a part that restarts, errors mapped back."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from capstan_contracts.base import Lenient
from capstan_contracts.errors import Problem
from capstan_servicekit.errors import NotReady, Upstream, from_problem
from capstan_servicekit.settings import ServiceSettings
from capstan_servicekit.telemetry.trace import child_of, traceparent

M = TypeVar("M", bound=Lenient)
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PATIENCE_S = (0.1, 0.3, 1.0, 2.0, 4.0)


class Peers:
    """One HTTP client for all other services. Never call it while a database session is open."""

    def __init__(self, settings: ServiceSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings, self._transport = settings, transport

    @functools.cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._transport, timeout=httpx.Timeout(30, connect=2), trust_env=False)

    async def get(self, service: str, path: str, into: type[M], **params: str) -> M:
        """GET and parse."""
        return _parse(service, into, await self.request(service, "GET", path, params=params))

    async def put(self, service: str, path: str, body: Lenient | Any, into: type[M], **params: str) -> M:
        """PUT (safe to repeat) and parse."""
        return _parse(service, into, await self.request(service, "PUT", path, body=body, params=params))

    async def post(self, service: str, path: str, body: Lenient | Any, into: type[M], *, key: str) -> M:
        """POST under an Idempotency-Key, hence safe to repeat, and parse."""
        return _parse(service, into, await self.request(service, "POST", path, body=body, key=key))

    async def request(
        self,
        service: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, str] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """One call with patience: connection errors and 503 are tried again for about 7 s; other errors are raised.

        A POST or PATCH without a key is only tried again while nothing of it can have been sent.
        """
        headers = {"authorization": f"Bearer {await self._token()}", "traceparent": child_of(traceparent())}
        if key is not None:
            headers["idempotency-key"] = key
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = body.model_dump_json(by_alias=True) if hasattr(body, "model_dump_json") else body
        url = self._settings.peer(service) + path
        repeatable = key is not None or method not in ("POST", "PATCH")
        for pause in (*_PATIENCE_S, None):
            try:
                response = await self._client.request(method, url, headers=headers, content=content, params=params)
            except httpx.TransportError as error:
                if pause is None or not (repeatable or isinstance(error, _NOTHING_SENT)):
                    raise NotReady(f"{service} cannot be reached: {type(error).__name__}") from error
            else:
                if response.status_code != 503 or pause is None or not repeatable:
                    return _checked(service, response)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _token(self) -> str:
        file = self._settings.token_file or Path("missing")
        try:
            return (await asyncio.to_thread(file.read_text)).strip()
        except FileNotFoundError as error:
            raise NotReady(f"this service has no identity: {file.name} is missing") from error

    async def close(self) -> None:
        """Close connections."""
        if "_client" in self.__dict__:
            await self._client.aclose()


def _checked(service: str, response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError as error:
        raise Upstream(f"{service} answered {response.status_code} without a problem body") from error
    raise from_problem(problem)


def _parse(service: str, into: type[M], response: httpx.Response) -> M:
    try:
        return into.model_validate_json(response.content)
    except ValidationError as error:
        raise Upstream(f"{service} answered something that is not a {into.__name__}") from error
