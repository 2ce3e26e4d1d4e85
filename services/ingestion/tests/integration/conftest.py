"""The service with its real job environment, and a dataset of each test's own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from capstan_contracts.events import DatasetCommitted
from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_testkit.harness import Harness, running

Make = Callable[..., Any]
BASE = "/v1/projects/default"
PARQUET = {"content-type": "application/vnd.apache.parquet"}
ENDS = {"committed", "quarantined", "failed"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """One service for a module: its warm worker imports Great Expectations once."""
    home = tmp_path_factory.mktemp("ingestion")
    async with running(Settings, build, home, job_idle_s=200, max_columns=200, max_failing_rows=50) as harness:
        yield harness


@pytest.fixture
def dataset(service: Harness, make_spec: Make, request: pytest.FixtureRequest) -> Callable[..., Any]:
    name: str = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")

    async def register(**changes: Any) -> str:
        answer = await service.admin.put(f"{BASE}/datasets/{name}", json=make_spec(name, **changes))
        assert answer.status_code == 200, answer.text
        return name

    return register


@dataclass(frozen=True)
class Real:
    """What a client does with its datasets."""

    h: Harness

    async def send(self, dataset: str, content: bytes, partition: str = "one", **query: str) -> dict[str, Any]:
        """Upload and wait for the end; the batch."""
        answer = await self.h.operator.post(
            f"{BASE}/datasets/{dataset}/batches",
            params={"partition": partition, **query},
            content=content,
            headers={} if "filename" in query else PARQUET,
        )
        assert answer.status_code in (200, 202), answer.text
        return await self.ended(answer.json()["id"])

    async def ended(self, batch: str) -> dict[str, Any]:
        async def done() -> dict[str, Any] | None:
            found: dict[str, Any] = (await self.h.viewer.get(f"{BASE}/batches/{batch}")).json()
            return found if found["state"] in ENDS else None

        result: dict[str, Any] = await self.h.until(done, timeout=120)
        return result

    async def committed(self, dataset: str) -> list[DatasetCommitted]:
        return [event for _, event in await self.h.relayed(DatasetCommitted) if event.dataset == dataset]

    def sentences(self, batch: dict[str, Any]) -> dict[str, str]:
        """Of the checks that did not pass, by key."""
        checks = batch["verdict"]["checks"]
        return {check["key"]: check["sentence"] for check in checks if check["outcome"] != "passed"}


@pytest.fixture
def real(service: Harness) -> Real:
    return Real(service)
