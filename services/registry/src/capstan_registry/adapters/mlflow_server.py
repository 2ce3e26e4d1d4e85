"""The way behind the proxy: sends admitted requests to MLflow and streams its answers back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from capstan_registry.actions.ports import Answer
from capstan_registry.adapters.mlflow_process import MlflowProcess
from capstan_servicekit.errors import NotReady

_SENT_ON = frozenset({"accept", "content-type", "if-none-match", "if-modified-since", "range"})
_ANSWERED = frozenset(
    {"content-type", "content-length", "content-disposition", "content-range", "cache-control", "etag", "last-modified"}
)


class MlflowServer:
    """Implements `CatalogueServer`."""

    def __init__(self, process: MlflowProcess) -> None:
        self._process = process

    @property
    def starts(self) -> int:
        """How often the process was started; 0 for a server that others start."""
        return self._process.starts

    async def warm(self) -> None:
        """Have it up."""
        async with self._process.using():
            return

    @asynccontextmanager
    async def forward(
        self,
        method: str,
        path: str,
        *,
        query: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | bytes | None,
    ) -> AsyncIterator[Answer]:
        """Neither token nor cookie goes on, and MLflow's own headers about origins do not come back."""
        async with self._process.using() as client:
            sent = {name: value for name, value in headers.items() if name in _SENT_ON}
            request = client.build_request(
                method,
                path + (f"?{query}" if query else ""),
                headers=sent | {"accept-encoding": "identity"},
                content=body,
            )
            try:
                response = await client.send(request, stream=True)
            except httpx.TransportError as error:
                raise NotReady(f"MLflow's server does not answer: {type(error).__name__}") from error
            try:
                kept = {name: value for name, value in response.headers.items() if name in _ANSWERED}
                yield Answer(response.status_code, kept, response.aiter_raw())
            finally:
                await response.aclose()
