"""Ports of the outside systems: the model catalogue that people look at (MLflow), and the server behind its proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


class ModelCatalogue(Protocol):
    """Where model versions get their integer and are shown. Every call may be repeated."""

    async def ensure_version(self, name: str, *, run: str, source: str, tags: Mapping[str, str]) -> int:
        """The version of `name` that belongs to `run`, made when there is none yet. Upstream, NotReady."""
        ...

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version. Upstream, NotReady."""
        ...


@dataclass(frozen=True)
class Answer:
    """An answer of the server, streamed."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class CatalogueServer(Protocol):
    """The server behind the proxy; started when it is needed."""

    @property
    def starts(self) -> int:
        """How often it was started: what was learned from an earlier start may no longer be so."""
        ...

    async def warm(self) -> None:
        """Start it and wait until it answers. NotReady."""
        ...

    def forward(
        self,
        method: str,
        path: str,
        *,
        query: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | bytes | None,
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request that was let through. NotReady, Upstream."""
        ...
