"""Places where runs go: this machine, a fake cluster whose pods are processes of this machine, and a real cluster."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from lightkube import Client
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.resources.core_v1 import Namespace, Node, Pod

from capstan_contracts.events import RunFinished, RunStarted
from capstan_contracts.loop import LoopPart
from capstan_testkit.harness import Harness, job_pythons, running
from capstan_testkit.kubernetes_jobs import FakeKubernetes, served
from capstan_testkit.listening import free_socket, listening
from capstan_testkit.required import missing
from capstan_testkit.rights import chart_rights
from capstan_training.app import build
from capstan_training.settings import Settings
from capstan_training.tables import RunRow

RUNS = "/v1/projects/default/runs"
IMAGE = os.environ.get("CAPSTAN_TEST_TRAINING_IMAGE", "capstan/training:test")
"""The training service's image, where the nodes of the cluster have it."""
CALLBACK_HOST = os.environ.get("CAPSTAN_TEST_CALLBACK_HOST", "")
"""An address of this machine that the pods of the cluster reach; empty: that of a node that is this machine."""
OVER = ("Succeeded", "Failed")


class Place(Protocol):
    """A way to run pipelines, and what the tests have to know of it."""

    name: str

    def start(self, home: Path, **options: Any) -> AbstractAsyncContextManager[Harness]:
        """The service on this place. The same home again is a restart."""
        ...

    def going(self, home: Path) -> list[str]:
        """What still runs of any run."""
        ...


def processes_of(home: Path) -> list[str]:
    """Processes that run in a run's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(home) in os.readlink(entry / "cwd"):
                found.append(entry.name)
        except OSError:
            continue
    return found


class LocalPlace:
    """The executor `local`."""

    name = "local"

    @asynccontextmanager
    async def start(self, home: Path, **options: Any) -> AsyncIterator[Harness]:
        async with running(Settings, build, home, **{"poll_s": 0.1, **options}) as harness:
            yield harness

    def going(self, home: Path) -> list[str]:
        return processes_of(home)


class KubernetesPlace:
    """The executor `kubernetes`. The service listens where pods reach it; a restart finds the same port free."""

    def __init__(self, name: str, image: str, namespace: str, host: str) -> None:
        self.name, self._image, self._namespace, self._host = name, image, namespace, host
        self._port = 0

    @asynccontextmanager
    async def start(self, home: Path, **options: Any) -> AsyncIterator[Harness]:
        sock = free_socket(self._host, self._port)
        self._port = sock.getsockname()[1]
        fields = {
            "executor": "kubernetes",
            "run_namespace": self._namespace,
            "run_image": self._image,
            "run_callback_url": f"http://{self._host}:{self._port}",
            "run_owner": "capstan",
            "run_start_patience_s": 2,
            "poll_s": 0.1,
        }
        async with AsyncExitStack() as stack:
            harness = await stack.enter_async_context(running(Settings, build, home, **{**fields, **options}))
            await stack.enter_async_context(listening(harness.app, sock))
            yield harness

    def going(self, home: Path) -> list[str]:
        raise NotImplementedError


class FakePlace(KubernetesPlace):
    """Pods are processes of this machine."""

    def __init__(self, fake: FakeKubernetes) -> None:
        super().__init__("fake", "capstan/training:test", "runs", "127.0.0.1")
        self.fake = fake

    def going(self, home: Path) -> list[str]:
        return self.fake.going


class ClusterPlace(KubernetesPlace):
    """A namespace of its own on the cluster of the current context, where only restricted pods are let in."""

    def __init__(self, client: Client, namespace: str, host: str) -> None:
        super().__init__("cluster", IMAGE, namespace, host)
        self.image = IMAGE
        self.client, self.namespace = client, namespace

    def going(self, home: Path) -> list[str]:
        pods = self.client.list(Pod, namespace=self.namespace)
        return [
            str(one.metadata and one.metadata.name) for one in pods if not one.status or one.status.phase not in OVER
        ]


@pytest.fixture
async def fake_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakePlace]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    programs = {"/opt/jobs/bin/python": job_pythons()["training"]}
    async with served(programs, folder, rights=chart_rights("training")) as (fake, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield FakePlace(fake)


def _node_that_is_this_machine(nodes: list[Node]) -> str:
    for node in nodes:
        for address in (node.status.addresses if node.status else None) or []:
            with suppress(OSError), socket.socket() as probe:
                probe.bind((address.address, 0))
                return str(address.address)
    missing("no node is this machine, and CAPSTAN_TEST_CALLBACK_HOST names no address of it that pods reach")


@pytest.fixture
def cluster_place() -> Iterator[ClusterPlace]:
    try:
        config = KubeConfig.from_env().get()
        client = Client(config=config)
        nodes = list(client.list(Node))
    except (ConfigError, httpx.HTTPError) as error:
        missing(f"there is no cluster in the current context: {error}")
    host = CALLBACK_HOST or _node_that_is_this_machine(nodes)
    name = f"capstan-test-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.create(from_dict({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
    try:
        yield ClusterPlace(client, name, host)
    finally:
        try:
            client.delete(Namespace, name)
        except ApiError as error:
            pytest.fail(f"the namespace {name} is left: {error}")
        finally:
            client.close()


@pytest.fixture(params=["local", "fake", pytest.param("cluster", marks=pytest.mark.cluster)])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "local":
        return LocalPlace()
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


class Caller:
    """What a person and the registry do with the service, in a line each."""

    def __init__(self, h: Harness) -> None:
        self.h = h

    async def apply(self, recipe: Any, part: LoopPart) -> None:
        path = f"/v1/projects/default/code/{recipe.digest}"
        assert (await self.h.admin.put(path, content=recipe.content)).status_code == 202
        answer = await self.h.service.put(
            f"/v1/projects/default/loops/{part.resolved.loop.metadata.name}",
            content=part.model_dump_json(by_alias=True),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 200, answer.text

    async def start(self, **parameters: Any) -> str:
        answer = await self.h.operator.post(RUNS, json={"loop": "tiny", "parameters": parameters})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def run(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.h.viewer.get(f"{RUNS}/{run}")).json()
        return found

    async def ended(self, run: str, timeout: float = 90) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            body = await self.run(run)
            return body if body["state"] in {"succeeded", "failed", "cancelled"} else None

        found: dict[str, Any] = await self.h.until(look, timeout)
        return found

    async def log(self, run: str) -> str:
        return (await self.h.viewer.get(f"{RUNS}/{run}/logs")).text

    async def said(self, run: str, text: str, timeout: float = 60) -> None:
        async def look() -> bool:
            return text in await self.log(run)

        await self.h.until(look, timeout)

    async def progresses(self, run: str, text: str, timeout: float = 30) -> None:
        async def look() -> bool:
            return text in (await self.run(run))["progress"]["message"]

        await self.h.until(look, timeout)

    async def idle(self, place: Place, home: Path, timeout: float = 30) -> None:
        async def look() -> bool:
            return place.going(home) == []

        await self.h.until(look, timeout)

    async def stored_log(self, run: str) -> str:
        """The digest under which the log of a run that is over was stored."""

        async def look() -> str | None:
            async with self.h.kit.database.read() as session:
                return (await session.get_one(RunRow, run)).log

        return str(await self.h.until(look))

    async def times_published(self, run: str) -> tuple[int, int]:
        """How often the start and the end of a run were published."""
        started = [event.run for _, event in await self.h.relayed(RunStarted)]
        return started.count(run), [event.run for _, event in self.h.published(RunFinished)].count(run)


@pytest.fixture
def caller() -> type[Caller]:
    return Caller
