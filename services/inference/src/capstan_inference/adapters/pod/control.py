"""What the host in a pod asks of inference control, in its own name."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import ValidationError

from capstan_contracts.errors import Problem
from capstan_contracts.rest.inference import ServerOrders, ServerReport
from capstan_inference.actions.ports import Placement
from capstan_servicekit.errors import InvalidData, NotReady, Upstream, from_problem


class Control:
    """One connection pool; every error is a CapstanError. The token is read anew for each call: it may be changed."""

    def __init__(self, url: str, token_file: Path, placement: Placement, server: str) -> None:
        self._token_file, self._server = token_file, server
        base = f"{url.rstrip('/')}/v1/projects/{placement.project}/deployments/{placement.deployment}"
        timeout = httpx.Timeout(30, connect=2)
        self._client = httpx.AsyncClient(base_url=base, timeout=timeout, trust_env=False)

    async def package(self, digest: str, target: Path) -> None:
        """Fetch the package; the file is there whole or not at all. InvalidData where the bytes are others."""
        draft, hashed = target.with_suffix(".part"), hashlib.sha256()
        try:
            async with self._client.stream("GET", f"/packages/{digest}", headers=await self._headers()) as answer:
                if not answer.is_success:
                    raise _problem(answer.status_code, await answer.aread())
                with draft.open("wb") as file:
                    async for chunk in answer.aiter_bytes():
                        hashed.update(chunk)
                        file.write(chunk)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if hashed.hexdigest() != digest:
            draft.unlink()
            raise InvalidData(f"the package's bytes are {hashed.hexdigest()[:12]}, not {digest[:12]}")
        draft.rename(target)

    async def ship(self, digest: str, content: bytes, closed_at: datetime) -> None:
        """Bring a closed segment."""
        await self._call("PUT", f"/segments/{digest}", content, params={"closed_at": closed_at.isoformat()})

    async def report(self, report: ServerReport) -> ServerOrders:
        """Say where this server stands."""
        body = report.model_dump_json().encode()
        answer = await self._call("PUT", f"/servers/{self._server}", body, timeout=5.0)
        try:
            return ServerOrders.model_validate_json(answer)
        except ValidationError as error:
            raise Upstream("inference control answered something that is no order") from error

    async def _call(self, method: str, path: str, body: bytes, **more: Any) -> bytes:
        try:
            headers = await self._headers()
            answer = await self._client.request(method, path, content=body, headers=headers, **more)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if not answer.is_success:
            raise _problem(answer.status_code, answer.content)
        return answer.content

    async def _headers(self) -> dict[str, str]:
        try:
            token = (await asyncio.to_thread(self._token_file.read_text)).strip()
        except OSError as error:
            raise NotReady(f"this model server has no identity: {self._token_file} cannot be read") from error
        return {"authorization": f"Bearer {token}", "content-type": "application/json"}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def _unreachable(error: httpx.TransportError) -> NotReady:
    return NotReady(f"inference control cannot be reached: {type(error).__name__}")


def _problem(status: int, body: bytes) -> Exception:
    try:
        return from_problem(Problem.model_validate_json(body))
    except ValidationError:
        return Upstream(f"inference control answered {status} without a problem body")
