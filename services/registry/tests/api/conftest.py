"""The registry behind its HTTP proxy, with a remembered catalogue and five services that answer as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from capstan_registry.app import build, compose
from capstan_registry.settings import Settings
from capstan_testkit.harness import Harness, running

Start = Callable[..., AbstractAsyncContextManager[Harness]]


@pytest.fixture
def start(tmp_path: Path, peers: Any, catalogue: Any, server: Any) -> Start:
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
