"""What the end-to-end test reckons with: quantities of the metrics API, pods that are not ready, traffic that fails."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import deploy
from e2e import measure
from e2e.traffic import Traffic


@pytest.mark.parametrize(("quantity", "found"), [("250m", 0.25), ("12n", 1.2e-8), ("3", 3.0), ("1500u", 0.0015)])
def test_cores(quantity: str, found: float) -> None:
    assert measure.cores(quantity) == pytest.approx(found)


@pytest.mark.parametrize(("quantity", "found"), [("2048Ki", 2.0), ("1Gi", 1024.0), ("1048576", 1.0)])
def test_mib(quantity: str, found: float) -> None:
    assert measure.mib(quantity) == pytest.approx(found)


def test_the_sum_is_of_the_release_without_its_data_services() -> None:
    place = deploy.Place("anywhere")
    one = {"cpu": 0.1, "memory_mib": 100.0}
    found = {"capstan-registry-1": one, "model-delay-1": one, "capstan-data-redis-0": one, "run-1": one}
    assert measure.ours(place, found) == {"pods": 2, "cpu": 0.2, "memory_mib": 200.0}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "status": status}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(phase="Running", conditions=[{"type": "Ready", "status": "True"}]), ""),
        (pod(phase="Succeeded"), ""),
        (pod(phase="Pending"), "pending"),
        (
            pod(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}],
            ),
            "Insufficient cpu",
        ),
        (
            pod(
                phase="Running",
                containerStatuses=[
                    {
                        "name": "registry",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 1, "message": "first\nthe broker has no JetStream\n"}},
                    }
                ],
            ),
            "registry: the broker has no JetStream",
        ),
        (
            pod(
                phase="Pending",
                containerStatuses=[
                    {"name": "registry", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
                ],
            ),
            "registry: ErrImagePull not found",
        ),
    ],
)
def test_why_a_pod_is_not_ready(found: dict[str, Any], reason: str) -> None:
    assert deploy.reason(found) == reason


def test_a_run_that_failed_is_not_waited_for() -> None:
    run = {"metadata": {"name": "run-1", "ownerReferences": [{"kind": "Job"}]}, "status": {"phase": "Failed"}}
    assert deploy.reason(run) == ""


def test_images_go_to_a_kind_cluster_by_themselves() -> None:
    assert deploy.kind_loader("kind-capstan") == "kind load docker-image --name capstan"
    assert deploy.kind_loader("production") == ""


class Server:
    """Answers a request in the ways that it is told."""

    def __init__(self, *ways: Any) -> None:
        self.ways = list(ways)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        way = self.ways.pop(0)
        if isinstance(way, Exception):
            raise way
        return httpx.Response(way, json={"model_version": "2", "prediction_ids": ["an-id"]})


async def test_traffic_tells_cut_connections_from_failures() -> None:
    class Known:
        token = "t"

        class model_server:
            @staticmethod
            def url(model: str) -> str:
                return "http://model"

    server = Server(200, 503, httpx.ConnectError("refused"), httpx.ReadError("cut"), 200)
    known: Any = Known()
    traffic = Traffic(known, "delay", [{}])
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
        for _ in range(5):
            await traffic._one(client, {})
    assert (traffic.answered, traffic.cut, dict(traffic.versions)) == (2, 1, {2: 2})
    assert traffic.ids == ["an-id"] * 2
    assert dict(traffic.failed) == {"status 503": 1, "ConnectError": 1}
    assert traffic.sentence() == "2 answered, 2 failed ({'status 503': 1, 'ConnectError': 1}), 1 cut"
