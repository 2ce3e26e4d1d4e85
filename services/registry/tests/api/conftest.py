"""The registry behind its HTTP door, with a remembered catalogue and five services that answer as told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_registry.app import build, compose
from capstan_registry.settings import Settings
from capstan_testkit.harness import Harness, running


@dataclass
class FakePeers:
    """Takes loop parts like a service: idempotent by generation. `refuse` and `away` name services that do not."""

    refuse: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    taken: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, bool]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        ports = {7101: "ingestion", 7102: "feature-store", 7103: "training", 7105: "inference", 7106: "monitoring"}
        service, dry_run = ports[request.url.port or 0], request.url.params.get("dry_run") == "true"
        self.calls.append((service, dry_run))
        if service in self.away:
            return _problem(502, "upstream-unavailable", "it is away")
        if service in self.refuse:
            return _problem(400, "invalid-spec", "no such view", [{"place": "views[0]", "rule": "must exist"}])
        generation = json.loads(request.content)["generation"]
        changes = [] if self.taken.get(service) == generation else [f"{service} changes"]
        if not dry_run:
            self.taken[service] = generation
        body = {
            "service": service,
            "loop": request.url.path.split("/")[-1],
            "generation": generation,
            "changes": changes,
        }
        return httpx.Response(200, json=body)


def _problem(status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> httpx.Response:
    body = {"title": "no", "status": status, "code": code, "detail": detail, "errors": errors or []}
    return httpx.Response(status, json=body)


Start = Callable[..., AbstractAsyncContextManager[Harness]]


@pytest.fixture
def peers() -> FakePeers:
    return FakePeers()


@pytest.fixture
def start(tmp_path: Path, peers: FakePeers, catalogue: Any, server: Any) -> Start:
    """`start()` runs the registry on the test's folder; again for a restart."""

    @asynccontextmanager
    async def make(**fields: Any) -> AsyncIterator[Harness]:
        def composed(kit: Any, settings: Settings) -> Any:
            return compose(kit, settings, catalogue=catalogue, server=server)

        async with running(
            Settings, build, tmp_path, peers=peers, compose=composed, resamples=1000, **fields
        ) as harness:
            yield harness

    return make


@pytest.fixture
async def h(start: Start) -> AsyncIterator[Harness]:
    async with start() as harness:
        yield harness
