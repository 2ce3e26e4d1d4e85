"""Tracking under its suite: the REST that training's tests stand in for, and MLflow behind the registry's proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from capstan_contracts.ids import uuid7
from capstan_registry.app import build
from capstan_registry.settings import Settings as RegistrySettings
from capstan_servicekit.peers import Peers
from capstan_testkit.harness import Harness, job_pythons, running
from capstan_testkit.mlflow_rest import FakeMlflow
from capstan_testkit.suites.tracking import FailingAt, TrackingBehaviour
from capstan_training.actions.ports import RunRecord
from capstan_training.adapters.mlflow import MlflowTracking
from capstan_training.settings import Settings

BEGUN = datetime(2026, 11, 28, 1, 2, 3, 456000, tzinfo=UTC)
pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def make_record() -> Callable[..., RunRecord]:
    """A record with a run of its own; arguments replace its fields."""

    def make(**changes: Any) -> RunRecord:
        given: dict[str, Any] = {
            "project": "default",
            "run": uuid7(),
            "loop": "heating",
            "package": "ab" * 32,
            "dataset": "flats",
            "dataset_version": "cd" * 32,
            "parameters": {"leaves": 15, "objective": "regression", "seed": 7, "columns": ["área", "built"]},
            "metrics": {"rmse": 2.125, "mae": 1.5},
            "tags": {"capstan.project": "default", "capstan.reason": "manual"},
            "started_at": BEGUN,
            "finished_at": BEGUN + timedelta(minutes=3),
        }
        return RunRecord(**given | changes)

    return make


class Logs:
    """Makes adapters whose requests go to one place, and closes them."""

    def __init__(self, home: Path, transport: httpx.AsyncBaseTransport, stack: AsyncExitStack) -> None:
        self._settings, self._transport, self._stack = Settings(home=home, bus_url="memory:"), transport, stack

    def tracking(self, transport: httpx.AsyncBaseTransport | None = None) -> MlflowTracking:
        """The adapter of the training service."""
        peers = Peers(self._settings, transport or self._transport)
        self._stack.push_async_callback(peers.close)
        return MlflowTracking(peers)

    def cut_off(self, turn: int) -> MlflowTracking:
        """One whose request of this number fails."""
        return self.tracking(FailingAt(self._transport, turn))


class OnLogs(TrackingBehaviour):
    """The fixtures of the suite, out of `logs`."""

    @pytest.fixture
    def tracking(self, logs: Logs) -> MlflowTracking:
        return logs.tracking()

    @pytest.fixture
    def cut_off(self, logs: Logs) -> Callable[[int], MlflowTracking]:
        return logs.cut_off


class TestFake(OnLogs):
    """What `FakeMlflow` answers."""

    @pytest_asyncio.fixture(loop_scope="module")
    async def logs(self, tmp_path: Path, fake: FakeMlflow) -> AsyncIterator[Logs]:
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "training.token").write_text("a token")
        async with AsyncExitStack() as stack:
            yield Logs(tmp_path, httpx.MockTransport(fake), stack)

    @pytest.fixture
    def fake(self) -> FakeMlflow:
        return FakeMlflow()

    @pytest_asyncio.fixture(loop_scope="module")
    async def reader(self, fake: FakeMlflow) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(fake), base_url="http://mlflow.invalid") as client:
            yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    async with running(RegistrySettings, build, tmp_path_factory.mktemp("registry"), mlflow_start_s=120) as harness:
        yield harness


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.skipif("registry" not in job_pythons(), reason="the registry's job environment is not installed")
class TestMlflow(OnLogs):
    """MLflow itself, started by the registry and reached by its proxy with training's own identity."""

    @pytest_asyncio.fixture(loop_scope="module")
    async def logs(self, registry: Harness) -> AsyncIterator[Logs]:
        async with AsyncExitStack() as stack:
            yield Logs(registry.home, httpx.ASGITransport(registry.app), stack)

    @pytest.fixture
    def reader(self, registry: Harness) -> httpx.AsyncClient:
        return registry.service  # the suite reads runs of two projects
