"""One behaviour on a laptop and on a cluster: a child process, and Deployments on a small cluster in this process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from capstan_contracts.events import PredictionsLogged, RolloutChanged, VersionPromoted
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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
NAME = name_of("default", "delay")
FLUSH = "/v1/projects/default/deployments/delay/flush"
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


async def test_a_promoted_version_answers_and_its_predictions_are_found(
    site: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with site(segment_age_s=600, model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        found = await s.reaches(model_version=1, state="serving", message="")
        assert (found["service"] is None) == (s.cluster is None)
        answer = await s.predict(row)
        one = (await s.h.viewer.get(f"/v1/projects/default/predictions/{answer['prediction_ids'][0]}")).json()
        assert one["outputs"] == {"prediction": answer["predictions"][0]} and one["inputs"] == row
        again = await s.predict(row)
        flushed = (await s.h.operator.post(FLUSH)).json()
        assert flushed["rows"] >= 1 and len(flushed["segment"]) == 64
        shipped = (await s.h.viewer.get(f"/v1/projects/default/predictions/{again['prediction_ids'][0]}")).json()
        assert shipped["segment"] == flushed["segment"]
        assert (await s.h.operator.post(FLUSH)).json() == {"segment": None, "rows": 0}
        s.answered += answer["prediction_ids"] + again["prediction_ids"]
        await s.all_logged_once()


async def test_a_new_champion_under_load_fails_no_request(site: Sites, make_package: Any, row: dict[str, Any]) -> None:
    async with site() as s:
        await s.promote(make_package(0.0), 1)
        await s.reaches(model_version=1)
        async with s.load(row):
            for version in (2, 3):
                await s.promote(make_package(float(version % 2)), version)
                await s.reaches(model_version=version)
            await asyncio.sleep(0.3)
        assert s.failed == []
        assert s.versions == {1, 2, 3}
        if s.cluster is not None:
            await asyncio.sleep(2.0)  # the old pods ship while they leave
        else:
            await s.h.operator.post(FLUSH)
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()
        changed = [event.to_version for _, event in await s.h.relayed(RolloutChanged)]
        assert changed == [1, 2, 3]


async def test_an_older_placement_that_comes_late_changes_nothing(
    site: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with site() as s:
        await s.promote(make_package(0.0), 1)
        await s.reaches(model_version=1)
        older = s.server.serving["default", "delay"]
        await s.promote(make_package(1.0), 2)
        await s.reaches(model_version=2)
        await s.server.load(older)
        assert (await s.predict(row))["model_version"] == 2
        assert s.server.serving["default", "delay"].version == 2


async def test_a_package_that_cannot_be_served_leaves_the_champion(
    site: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with site() as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        await s.promote_digest(await s.h.kit.objects.put_bytes("default", b"this is no package"), 2)

        async def told() -> str:
            return str((await s.deployment())["message"])

        async with s.load(row, 2):
            message = await s.h.until(told, timeout=60)
        assert "version 2 could not be loaded" in message and "version 1 keeps serving" in message
        assert s.failed == [] and s.versions == {1}
        assert (await s.deployment())["state"] == "serving"
        assert len(await s.h.relayed(RolloutChanged)) == 1


async def test_a_first_package_that_cannot_be_served_fails_the_deployment(site: Sites) -> None:
    async with site() as s:
        await s.promote_digest(await s.h.kit.objects.put_bytes("default", b"this is no package"), 1)
        found = await s.reaches(state="failed")
        assert found["message"].startswith("version 1 could not be loaded: ") and found["model_version"] is None
        assert s.cluster is None or s.cluster.deployments == {}


async def test_kill_9_of_the_data_plane_loses_no_answered_prediction(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        (pod,) = s.cluster.of(NAME)
        async with s.load(row):
            for _ in range(2):
                await asyncio.sleep(1.0)
                victim = pod.data_plane()
                assert victim is not None
                os.kill(victim, signal.SIGKILL)

                async def another(old: int = victim) -> bool:
                    return pod.data_plane() not in (None, old)

                await s.h.until(another)
                before = len(s.answered)

                async def goes_on(before: int = before) -> bool:
                    return len(s.answered) > before + 10

                await s.h.until(goes_on)
        assert (pod.restarts, len(s.cluster.of(NAME))) == (0, 1)
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()


async def test_kill_9_of_the_container_loses_nothing_either(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        (pod,) = s.cluster.of(NAME)
        s.answered += [(await s.predict(row))["prediction_ids"][0] for _ in range(5)]
        for pid in (pod.data_plane(), pod.process.pid):
            os.kill(pid, signal.SIGKILL)

        async def back() -> bool:
            return pod.restarts == 1 and bool(pod.ready)

        await s.h.until(back, timeout=40)
        await s.all_logged_once()
        assert "lost_records_total{" not in (await s.h.anonymous.get("/metrics")).text


async def test_a_pod_told_to_end_under_load_fails_no_request_and_leaves_nothing_behind(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600, model_replicas=2) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        pods = s.cluster.of(NAME)
        async with s.load(row):
            await asyncio.sleep(0.5)
            await s.cluster.delete_pod(pods[0])

            async def replaced() -> bool:
                found = s.cluster.of(NAME)
                return len(found) == 2 and pods[0] not in found and all(pod.ready for pod in found)

            await s.h.until(replaced, timeout=40)
            await s.reaches(state="serving", message="")
        assert s.failed == []
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()


async def test_a_forced_deletion_is_replaced_alarmed_and_what_it_lost_is_counted(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        for _ in range(7):
            await s.predict(row)
        await asyncio.sleep(0.6)  # a report or two
        (pod,) = s.cluster.of(NAME)
        s.cluster.full = True
        await s.cluster.delete_pod(pod, force=True)
        await s.reaches(state="degraded")
        assert 'model_servers_available{deployment="delay",project="default"} 0.0' in await metrics(s)
        s.cluster.full = False
        found = await s.reaches(
            state="serving", message=f"7 records of the prediction log were lost with {pod.name}", seconds=40
        )
        assert found["revision"] == 1
        text = await metrics(s)
        assert 'lost_records_total{deployment="delay",project="default"} 7.0' in text
        assert (await s.predict(row))["model_version"] == 1
        await s.promote(make_package(1.0), 2)
        await s.reaches(model_version=2, message="")


async def metrics(s: Site) -> str:
    async def shown() -> str:
        return (await s.h.anonymous.get("/metrics")).text

    await asyncio.sleep(1.2)  # the watch looks once a second
    return await shown()


async def test_what_is_deleted_or_edited_by_hand_comes_back(on_cluster: Sites, make_package: Any) -> None:
    async with on_cluster() as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1, state="serving")
        written = s.cluster.deployments[NAME]["spec"]
        await s.cluster.delete("Deployment", NAME)
        await s.reaches(state="degraded")
        await s.reaches(state="serving", message="", seconds=60)
        edited = s.cluster.deployments[NAME]
        edited["spec"] = {**edited["spec"], "replicas": 0}
        edited["metadata"]["generation"] += 1

        async def restored() -> bool:
            return NAME in s.cluster.deployments and s.cluster.deployments[NAME]["spec"] == written

        await s.h.until(restored)
        await s.reaches(state="serving", message="", seconds=60)


async def test_a_restarted_control_finds_its_servers_serving_and_rolls_nothing(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, fake_cluster: Any, row: dict[str, Any]
) -> None:
    async with cluster(tmp_path, registry, make_part(), fake_cluster) as s:
        port = int(s.h.kit.settings.control_url.rsplit(":", 1)[1])  # type: ignore[attr-defined]
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        (pod,) = fake_cluster.of(NAME)
    answers = [(await s.predict(row))["prediction_ids"][0] for _ in range(3)]  # the control is not needed for this
    async with cluster(tmp_path, registry, make_part(), fake_cluster, port=port) as s:
        s.answered += answers
        await s.reaches(model_version=1, state="serving", message="")
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()
        assert fake_cluster.of(NAME) == [pod] and pod.restarts == 0


async def test_an_image_that_cannot_be_had_is_said_and_taken_back(
    on_cluster: Sites, make_package: Any, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capstan_inference.adapters.kubernetes.rollout.STUCK_FOR_S", 0.5)
    async with on_cluster() as s:
        s.cluster.bad_images.add("capstan/inference:fake")
        await s.promote(make_package(), 1)

        async def tried() -> bool:
            return bool(s.cluster.of(NAME))

        await s.h.until(tried)
        await asyncio.sleep(1.5)
        assert (await s.deployment())["state"] == "loading"
        s.cluster.bad_images.clear()
        for pod in s.cluster.of(NAME):
            await s.cluster.delete_pod(pod)
        await s.reaches(state="serving", seconds=60)
        with suppress(httpx.HTTPError):
            assert (await s.predict(row))["model_version"] == 1
