"""Where model servers are: a child process on a laptop, Deployments on a small cluster in this process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from capstan_contracts.events import PredictionsLogged, VersionPromoted
from capstan_contracts.ids import Urn
from capstan_formats.segments import read_heads
from capstan_inference.actions.converge import Placements
from capstan_inference.actions.flush_servers import FlushServers
from capstan_inference.actions.ports import ModelServer
from capstan_inference.adapters.kubernetes.manifests import name_of
from capstan_inference.adapters.kubernetes.server import KubernetesModelServer
from capstan_inference.adapters.model_servers.child import ChildModelServer
from capstan_inference.app import build, compose
from capstan_inference.settings import Settings
from capstan_servicekit.runtime import Kit, Service
from capstan_testkit.harness import Harness, running
from capstan_testkit.kubernetes_deployments import FakeCluster, running_cluster
from capstan_testkit.rights import chart_rights

NAME = name_of("default", "delay")
FAST = {
    "model_image": "capstan/inference:fake",
    "model_principals_secret": "principals",
    "model_token_secret": "identity",
    "model_drain_s": 1.0,
    "model_heartbeat_s": 0.2,
    "model_silent_s": 1.0,
    "model_resync_s": 0.2,
    "model_rollout_s": 60.0,
}


@dataclass
class Site:
    """A running control and the way to its models."""

    h: Harness
    find_url: Callable[[], str]
    server: ModelServer
    cluster: Any = None
    failed: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)

    async def promote(self, package: Any, version: int) -> None:
        digest = await self.h.kit.objects.put_file("default", package.path)
        await self.promote_digest(digest, version)

    async def promote_digest(self, digest: str, version: int) -> None:
        event = VersionPromoted(model="delay", to_version=version, package=digest, by="ada", ledger_sequence=version)
        await self.h.publish(event, subject=Urn("default", "model", "delay", str(version)))

    async def deployment(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.h.viewer.get("/v1/projects/default/deployments/delay")).json()
        return found

    async def reaches(self, seconds: float = 60, **wanted: Any) -> dict[str, Any]:
        async def there() -> Any:
            found = await self.deployment()
            return found if all(found.get(name) == value for name, value in wanted.items()) else None

        found: dict[str, Any] = await self.h.until(there, timeout=seconds)
        return found

    def client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.h.tokens['operator']}"}
        return httpx.AsyncClient(base_url=self.find_url(), headers=headers, timeout=30, trust_env=False)

    async def predict(self, row: dict[str, Any]) -> dict[str, Any]:
        async with self.client() as client:
            answer = await client.post("/v1/models/delay:predict", json={"instances": [row]})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @asynccontextmanager
    async def load(self, row: dict[str, Any], callers: int = 4) -> AsyncIterator[None]:
        """Callers with kept connections, each with its next request as soon as the last is answered."""
        stop = asyncio.Event()

        async def call() -> None:
            async with self.client() as client:
                while not stop.is_set():
                    try:
                        answer = await client.post("/v1/models/delay:predict", json={"instances": [row]})
                    except httpx.TransportError as error:
                        self.failed.append(type(error).__name__)
                        await asyncio.sleep(0.05)
                        continue
                    if answer.status_code != 200:
                        self.failed.append(answer.text)
                        continue
                    self.answered += answer.json()["prediction_ids"]
                    self.versions.add(answer.json()["model_version"])
                    await asyncio.sleep(0.005)

        calls = [asyncio.create_task(call()) for _ in range(callers)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*calls)

    async def logged(self) -> list[str]:
        """Prediction ids in all segments that were told of."""
        found: list[str] = []
        for _, event in await self.h.relayed(PredictionsLogged):
            path = await self.h.kit.objects.local_path("default", event.segment)
            found += [one for head in read_heads(path) for one in head.ids.texts()]
        return found

    async def all_logged_once(self) -> None:
        async def all_there() -> bool:
            return set(self.answered) <= set(await self.logged())

        await self.h.until(all_there, timeout=30)
        found = await self.logged()
        assert len(found) == len(set(found))


@asynccontextmanager
async def laptop(home: Path, registry: Any, part: Any, **fields: Any) -> AsyncIterator[Site]:
    servers: list[ChildModelServer] = []

    def composed(kit: Kit, settings: Settings) -> Service:
        server = ChildModelServer(settings, kit.objects, Placements(kit.database))
        servers.append(server)
        service = _with(compose(kit, settings, server=server), server)
        service.closers = [server.close]
        return service

    async with running(Settings, build, home, peers=registry, compose=composed, model_server_port=0, **fields) as h:
        assert (await put(h, part)).status_code == 200

        async def up() -> bool:
            return not [sentence for sentence in await h.service_.missing() if "model server" in sentence]

        await h.until(up)
        url = (await h.viewer.get("/v1/projects/default/deployments/delay")).json()["url"]
        yield Site(h, lambda: url, servers[-1])


def _with(service: Service, server: ChildModelServer | KubernetesModelServer) -> Service:
    service.tasks = [*service.tasks, server.run]
    service.checks = {"model server": server.missing}
    return service


@asynccontextmanager
async def cluster(home: Path, registry: Any, part: Any, fake: Any, port: int = 0, **fields: Any) -> AsyncIterator[Site]:
    listening = socket.create_server(("127.0.0.1", port))
    port = listening.getsockname()[1]
    servers: list[KubernetesModelServer] = []

    def composed(kit: Kit, settings: Settings) -> Service:
        tokens = json.loads((home / "secrets" / "tokens.json").read_text())
        fake.give(tokens["service"], home / "secrets" / "principals.json")
        server = KubernetesModelServer(settings, fake, FlushServers(kit.database))
        servers.append(server)
        return _with(compose(kit, settings, server=server), server)

    fields = {**FAST, "model_servers": "kubernetes", "control_url": f"http://127.0.0.1:{port}", **fields}
    async with (
        running(Settings, build, home, peers=registry, compose=composed, **fields) as h,
        AsyncExitStack() as stack,
    ):
        server = uvicorn.Server(uvicorn.Config(h.app, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve([listening]))

        async def shut() -> None:
            server.should_exit = True
            await asyncio.wait({serving}, timeout=3)  # kept connections of pods are no reason to wait longer
            left = [serving, *server.server_state.tasks]  # requests under way are of a service that is about to end
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        stack.push_async_callback(shut)
        assert (await put(h, part)).status_code == 200
        yield Site(h, lambda: fake.url(NAME), servers[-1], fake)


async def put(h: Harness, part: Any) -> httpx.Response:
    return await h.service.put("/v1/projects/default/loops/delay", json=part.model_dump(mode="json", by_alias=True))


Sites = Callable[..., Any]


@pytest.fixture(params=["child", "kubernetes"])
def site(request: pytest.FixtureRequest, tmp_path: Path, registry: Any, make_part: Any) -> Sites:
    """Opens the control on one of the two."""
    if request.param == "child":
        return lambda **fields: laptop(tmp_path, registry, make_part(), **fields)
    fake = request.getfixturevalue("fake_cluster")
    return lambda **fields: cluster(tmp_path, registry, make_part(), fake, **fields)


@pytest.fixture
def on_cluster(tmp_path: Path, registry: Any, make_part: Any, fake_cluster: Any) -> Sites:
    """The same, on the cluster."""
    return lambda **fields: cluster(tmp_path, registry, make_part(), fake_cluster, **fields)


@pytest.fixture
async def fake_cluster(tmp_path: Path) -> AsyncIterator[FakeCluster]:
    """A cluster with two Secrets, `identity` and `principals`, which `give` fills."""
    async with running_cluster(tmp_path / "cluster", chart_rights("inference")) as cluster:
        yield cluster
