"""The Kubernetes API that runs are made with: the fake and a real one under one suite, and what is said of refusals."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from capstan_servicekit.errors import Upstream
from capstan_testkit.kubernetes_jobs import FakeKubernetes, served
from capstan_testkit.rights import chart_rights
from capstan_testkit.suites.kubernetes_jobs import KubernetesJobsBehaviour, job
from capstan_training.adapters.kubernetes_api import KubernetesApi, KubernetesRefused

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
IMAGE = "capstan/training:test"


@pytest.fixture
async def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeKubernetes]:
    programs = {"/opt/jobs/bin/python": sys.executable}
    async with served(programs, tmp_path, rights=chart_rights("training")) as (fake, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield fake


@pytest.fixture
async def api_of_fake(fake: FakeKubernetes) -> AsyncIterator[KubernetesApi]:
    api = KubernetesApi.from_surroundings("runs")
    yield api
    await api.close()


class TestFake(KubernetesJobsBehaviour):
    @pytest.fixture
    def image(self) -> str:
        return IMAGE

    @pytest.fixture
    def api(self, api_of_fake: KubernetesApi) -> KubernetesApi:
        return api_of_fake


@pytest.mark.cluster
class TestReal(KubernetesJobsBehaviour):
    """In a namespace of its own on the cluster of the current context."""

    @pytest.fixture
    def image(self, cluster_place: Any) -> str:
        return str(cluster_place.image)

    @pytest.fixture
    async def api(self, cluster_place: Any) -> AsyncIterator[KubernetesApi]:
        api = KubernetesApi.from_surroundings(cluster_place.namespace)
        yield api
        await api.close()


async def test_without_the_rights_of_the_chart_it_is_refused_for_good_and_says_which(
    fake: FakeKubernetes, api_of_fake: KubernetesApi
) -> None:
    fake.take_rights()
    with pytest.raises(KubernetesRefused, match=r'403: jobs is forbidden: cannot create resource "jobs"') as refused:
        await api_of_fake.create_job(job("a", IMAGE, "pass"))
    assert refused.value.hint == "Give the training service the Role of its chart."
    with pytest.raises(KubernetesRefused, match="pods/log is forbidden"):
        async for _ in api_of_fake.log("a", ""):
            pass


async def test_an_api_that_is_broken_or_away_is_asked_again(
    fake: FakeKubernetes, api_of_fake: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.broken = True
    with pytest.raises(Upstream, match="503: etcd is not there") as broken:
        await api_of_fake.jobs("capstan.dev/run=a")
    (tmp_path / "away").write_text((tmp_path / "kubeconfig").read_text().replace("127.0.0.1", "127.0.0.2"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "away"))
    away = KubernetesApi.from_surroundings("runs")
    with pytest.raises(Upstream, match="cannot be reached: Connect") as silent:
        await away.create_job(job("a", IMAGE, "pass"))
    await away.close()
    assert not isinstance(broken.value, KubernetesRefused) and not isinstance(silent.value, KubernetesRefused)


@pytest.mark.parametrize("kubeconfig", [None, "this is: [no kubeconfig", "[]", "current-context: gone"])
def test_without_a_cluster_the_service_ends_with_a_sentence(
    kubeconfig: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kubeconfig is not None:
        (tmp_path / "kubeconfig").write_text(kubeconfig)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(SystemExit, match="training: the executor kubernetes finds no cluster: "):
        KubernetesApi.from_surroundings()
