"""The clusters that model servers run on, under one suite: that of the tests, lightkube before it, a real one."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lightkube import Client
from lightkube.codecs import from_dict
from lightkube.core.exceptions import ConfigError
from lightkube.resources.core_v1 import Namespace

from capstan_inference.adapters.kubernetes.cluster import LightkubeCluster
from capstan_servicekit.errors import InvalidData, NotReady
from capstan_testkit.kubernetes_deployments import FakeCluster
from capstan_testkit.required import missing
from capstan_testkit.suites.clusters import ClusterBehaviour, deployment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


KUBECONFIG = """apiVersion: v1
kind: Config
current-context: fake
contexts: [{name: fake, context: {cluster: fake, user: fake, namespace: test}}]
clusters: [{name: fake, cluster: {server: "http://cluster.invalid"}}]
users: [{name: fake, user: {}}]
"""
KINDS = {"deployments": "Deployment", "services": "Service", "pods": "Pod"}
Answer = Callable[[httpx.Request], httpx.Response]


class TestFake(ClusterBehaviour):
    @pytest.fixture
    def cluster(self, fake_cluster: FakeCluster) -> FakeCluster:
        return fake_cluster


class ApiOfFake(httpx.AsyncBaseTransport):
    """The Kubernetes API in front of the fake: paths, queries and statuses as the API server has them."""

    def __init__(self, fake: FakeCluster) -> None:
        self._fake = fake

    def __deepcopy__(self, memo: object) -> ApiOfFake:
        """Lightkube copies its parameters; the fake is one."""
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        where = re.fullmatch(r"/(?:api|apis/apps)/v1/namespaces/test/(\w+)(?:/(.+))?", request.url.path)
        assert where is not None, request.url
        kind, name = KINDS[where[1]], where[2]
        if request.method == "PATCH":
            assert request.headers["content-type"] == "application/apply-patch+yaml"
            assert dict(request.url.params) == {"force": "true", "fieldManager": "capstan-inference"}
            try:
                return httpx.Response(200, json=await self._fake.apply(kind, json.loads(request.content)))
            except InvalidData as error:
                return _status(422, str(error))
        if request.method == "GET" and name is None:
            labels = dict(part.split("=") for part in request.url.params["labelSelector"].split(","))
            return httpx.Response(200, json={"items": await self._fake.find(kind, labels), "metadata": {}})
        if await self._fake.get(kind, name) is None:
            return _status(404, f"{where[1]} {name} not found")
        if request.method == "DELETE":
            await self._fake.delete(kind, name)
        return httpx.Response(200, json=await self._fake.get(kind, name) or {"kind": "Status", "status": "Success"})


def _status(code: int, message: str) -> httpx.Response:
    return httpx.Response(code, json={"kind": "Status", "status": "Failure", "code": code, "message": message})


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))


@pytest.mark.usefixtures("kubeconfig")
class TestLightkube(ClusterBehaviour):
    """The real adapter, as far as HTTP."""

    @pytest.fixture
    async def cluster(self, fake_cluster: FakeCluster) -> AsyncIterator[LightkubeCluster]:
        cluster = LightkubeCluster(transport=ApiOfFake(fake_cluster))
        yield cluster
        await cluster.close()


def forbids(request: httpx.Request) -> httpx.Response:
    return _status(403, "deployments.apps is forbidden")


def breaks(request: httpx.Request) -> httpx.Response:
    return _status(500, "etcdserver: request timed out")


def is_away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(
    ("answer", "sentence", "hint"),
    [
        (forbids, "does not let us {}: deployments.apps is forbidden", "its chart gives"),
        (breaks, "failed to {}: 500 etcdserver: request timed out", ""),
        (is_away, "cannot be reached to {}: ConnectError", ""),
    ],
)
async def test_each_call_says_what_the_api_would_not_do(answer: Answer, sentence: str, hint: str) -> None:
    cluster = LightkubeCluster(transport=httpx.MockTransport(answer))
    calls: dict[str, Coroutine[Any, Any, Any]] = {
        "apply Deployment a": cluster.apply("Deployment", deployment("a")),
        "get Deployment a": cluster.get("Deployment", "a"),
        "list Deployment": cluster.find("Deployment", {"a": "b"}),
        "delete Deployment a": cluster.delete("Deployment", "a"),
    }
    for what, call in calls.items():
        with pytest.raises(NotReady) as told:
            await call
        assert str(told.value) == f"the Kubernetes API {sentence.format(what)}" and hint in (told.value.hint or "")
    await cluster.close()


@pytest.mark.parametrize("kubeconfig", [None, "this is: [no kubeconfig", "[]", "current-context: gone"])
async def test_without_a_cluster_it_says_what_to_set(
    kubeconfig: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kubeconfig is not None:
        (tmp_path / "kubeconfig").write_text(kubeconfig)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(NotReady) as told:
        await LightkubeCluster().get("Deployment", "a")
    assert "no Kubernetes cluster can be reached from here" in str(told.value) and "KUBECONFIG" in told.value.hint


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """One of its own on the cluster of the current context, that only lets restricted pods in."""
    name = f"capstan-test-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    try:
        client = Client()
        client.create(from_dict(manifest))
    except (ConfigError, httpx.HTTPError) as error:
        missing(f"there is no cluster in the current context: {error}")
    yield name
    client.delete(Namespace, name)
    client.close()


@pytest.mark.cluster
class TestReal(ClusterBehaviour):
    @pytest.fixture
    async def cluster(self, namespace: str) -> AsyncIterator[LightkubeCluster]:
        cluster = LightkubeCluster(namespace)
        yield cluster
        await cluster.close()
