"""Predictions without pause and without a second try, so that whatever fails is seen and counted."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from capstan_client.sdk import Capstan

CUT = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""The connection ended while a request was on it: nobody can tell whether it was answered."""


@dataclass
class Traffic:
    """Counts of requests of one row each."""

    capstan: Capstan
    model: str
    rows: list[dict[str, Any]]
    connections: int = 2
    pause_s: float = 0.02
    answered: int = 0
    cut: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    _stop: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Traffic]:
        """Send until the block ends; requests under way are waited for."""
        rows = itertools.cycle(self.rows)
        tasks = [asyncio.create_task(self._connection(rows)) for _ in range(self.connections)]
        try:
            yield self
        finally:
            self._stop = True
            await asyncio.gather(*tasks)

    async def _connection(self, rows: Any) -> None:
        headers = {"authorization": f"Bearer {self.capstan.token}"}
        async with httpx.AsyncClient(timeout=httpx.Timeout(15, connect=5), trust_env=False, headers=headers) as client:
            while not self._stop:
                await self._one(client, next(rows))
                await asyncio.sleep(self.pause_s)

    async def _one(self, client: httpx.AsyncClient, row: dict[str, Any]) -> None:
        url = f"{self.capstan.model_server.url(self.model)}/v1/models/{self.model}:predict"
        try:
            response = await client.post(url, json={"instances": [row]})
        except CUT:
            self.cut += 1
            return
        except httpx.TransportError as error:
            self.failed[type(error).__name__] += 1
            return
        if response.status_code != 200:
            self.failed[f"status {response.status_code}"] += 1
            return
        answer = response.json()
        self.answered += 1
        self.versions[int(answer["model_version"])] += 1
        self.ids += answer["prediction_ids"]

    def sentence(self) -> str:
        """For the report."""
        failed = f"{sum(self.failed.values())} failed" + (f" ({dict(self.failed)})" if self.failed else "")
        return f"{self.answered:,} answered, {failed}, {self.cut} cut"
