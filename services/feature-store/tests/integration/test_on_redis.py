"""The service with Redis as its online store: features come online, and come back after the server lost them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from capstan_contracts.events import FeaturesMaterialized
from capstan_feature_store.actions.keep_online import KeepOnline
from capstan_feature_store.app import build
from capstan_feature_store.settings import Settings
from capstan_testkit.harness import Harness, running

pytestmark = [pytest.mark.containers, pytest.mark.integration, pytest.mark.timeout(120)]
P = "/v1/projects/default"


@pytest.fixture
def own_database(redis_url: str) -> str:
    """A database of the shared server that only these tests use: the project's name is the same in all."""
    url = redis_url.removesuffix("/0") + "/7"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
async def service(own_database: str, world: Any, tmp_path: Path) -> AsyncIterator[Harness]:
    async with running(Settings, build, tmp_path, peers=world.answer, online_store_url=own_database) as harness:
        yield harness


async def delays(service: Harness, world: Any) -> dict[str, Any]:
    body = {
        "feature_service": "flight_v1",
        "event_time": world.hour(10).isoformat(),
        "entities": {"carrier": ["AA", "XX"], "tailnum": ["N1", "N2"], "departs": [world.hour(10).isoformat()] * 2},
    }
    answer = await service.viewer.post(f"{P}/online-features", json=body)
    assert answer.status_code == 200, answer.text
    return {view["view"]: view for view in answer.json()["views"]}


async def succeeded(service: Harness, count: int) -> Any:
    async def look() -> Any:
        items = (await service.viewer.get(f"{P}/materializations")).json()["items"]
        assert not [item for item in items if item["state"] == "failed"], items
        done = [item for item in items if item["state"] == "succeeded"]
        return done if len(done) >= count else None

    return await service.until(look, timeout=60)


async def test_features_come_online_and_come_back_when_the_server_lost_them(
    service: Harness, world: Any, own_database: str
) -> None:
    made = await service.service.put(f"{P}/loops/flight-delay", json=world.loop_part())
    assert made.status_code == 200, made.text
    assert (await delays(service, world))["carrier_recent"]["status"] == ["missing", "missing"]
    for manifest in (
        await world.commit("planes", world.PLANES, world.PLANE_ROWS),
        await world.commit("flights", world.FLIGHTS, world.FIRST),
    ):
        event, subject = world.committed(manifest)
        await service.publish(event, subject=subject)
    items = await succeeded(service, 2)
    assert {(item["view"], item["rows"]) for item in items} == {("carrier_recent", 1), ("planes", 2)}
    first = await delays(service, world)
    assert first["carrier_recent"]["status"] == ["present", "missing"]
    assert first["planes"]["columns"]["model"] == ["A", "B"]
    assert not (service.home / "online").exists()
    assert (await service.anonymous.get("/readyz")).status_code == 200

    with redis.Redis.from_url(own_database) as client:
        client.flushdb()
    assert (await delays(service, world))["planes"]["status"] == ["missing", "missing"]
    (keeper,) = (task for task in service.service_.tasks if isinstance(task, KeepOnline))
    assert await replace(keeper).once() <= 2  # the service's own may have been faster
    await succeeded(service, 4)
    assert await delays(service, world) == first
    assert len(await service.relayed(FeaturesMaterialized)) == 4
    assert await keeper.once() == 0


async def test_a_server_that_is_away_is_told_at_the_door(world: Any, tmp_path: Path) -> None:
    url = f"redis://:{uuid.uuid4().hex}@127.0.0.1:9/0"
    async with running(Settings, build, tmp_path, peers=world.answer, online_store_url=url) as service:
        await service.service.put(f"{P}/loops/flight-delay", json=world.loop_part())
        ready = await service.anonymous.get("/readyz")
        body = {
            "feature_service": "flight_v1",
            "entities": {"carrier": ["AA"], "tailnum": ["N1"], "departs": [world.hour(10).isoformat()]},
        }
        read = await service.viewer.post(f"{P}/online-features", json=body)
    assert ready.status_code == 503
    assert any("CAPSTAN_ONLINE_STORE_URL" in sentence for sentence in ready.json()["missing"]), ready.json()
    assert read.status_code == 503 and "cannot be reached" in read.json()["detail"]
    assert url.split(":")[2].split("@")[0] not in ready.text + read.text
