"""The control through its routes, with a model server that only remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import RolloutChanged, VersionPromoted
from capstan_contracts.ids import Urn
from capstan_inference.actions.ports import Address, Flushed, Placement, ReplicaStatus
from capstan_inference.app import build, compose
from capstan_inference.settings import Settings
from capstan_inference.tables import Base
from capstan_servicekit.errors import InvalidData
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import assert_every_route_is_guarded
from capstan_testkit.schema import assert_migrations_match

LOOP = "/v1/projects/default/loops/delay"
DEPLOYMENT = "/v1/projects/default/deployments/delay"


class RememberingServer:
    """Stands for the model server. Packages in `broken` cannot be loaded."""

    servers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.replica_status: dict[tuple[str, str], ReplicaStatus] = {}
        self.serving: dict[tuple[str, str], Placement] = {}
        self.loaded: list[int] = []
        self.broken: set[str] = set()

    async def load(self, placement: Placement) -> float:
        if placement.package in self.broken:
            raise InvalidData("the booster has no trees")
        self.loaded.append(placement.version)
        self.serving[placement.project, placement.deployment] = placement
        return 0.01

    async def flush(self, project: str, deployment: str) -> list[Flushed]:
        return []

    def address(self, project: str, deployment: str) -> Address:
        return Address("http://models:7110")


@asynccontextmanager
async def control(home: Path, registry: Any, server: RememberingServer, **more: Any) -> AsyncIterator[Harness]:
    async with running(Settings, build, home, peers=registry, compose=partial(compose, server=server), **more) as h:
        yield h


async def put(h: Harness, part: Any, **params: Any) -> Any:
    return await h.service.put(LOOP, json=part.model_dump(mode="json", by_alias=True), params=params)


async def promote(h: Harness, version: int, sequence: int, package: str = "") -> None:
    event = VersionPromoted(
        model="delay", to_version=version, package=package or f"{version:064x}", by="ada", ledger_sequence=sequence
    )
    await h.publish(event, subject=Urn("default", "model", "delay", str(version)))


async def reaches(h: Harness, **wanted: Any) -> dict[str, Any]:
    async def there() -> Any:
        found = (await h.viewer.get(DEPLOYMENT)).json()
        return found if all(found.get(name) == value for name, value in wanted.items()) else None

    found: dict[str, Any] = await h.until(there)
    return found


@pytest.mark.both_databases
async def test_a_loop_makes_a_deployment_and_applying_again_changes_nothing(
    tmp_path: Path, registry: Any, make_part: Any
) -> None:
    async with control(tmp_path, registry, RememberingServer()) as h:
        preview = (await put(h, make_part(), dry_run=True)).json()
        assert preview["changes"] == ["deployment delay is made and waits for its first champion"]
        assert (await h.viewer.get(DEPLOYMENT)).status_code == 404
        assert (await put(h, make_part())).json() == preview
        waiting = (await h.viewer.get("/v1/projects/default/deployments")).json()["items"]
        assert [(one["name"], one["state"], one["url"]) for one in waiting] == [
            ("delay", "waiting", "http://models:7110")
        ]
        assert (await put(h, make_part())).json()["changes"] == []
        changed = (await put(h, make_part(2, logFeatures=False))).json()
        assert changed["changes"] == ["deployment delay: log_features True becomes False"]
        older = await put(h, make_part(1))
        assert (older.status_code, older.json()["code"]) == (409, "conflict")


async def test_parts_that_do_not_fit(tmp_path: Path, registry: Any, make_part: Any) -> None:
    async with control(tmp_path, registry, RememberingServer()) as h:
        other = await put(h, make_part(loop="other"))
        assert (other.status_code, other.json()["errors"][0]["place"]) == (400, "metadata.name")
        foreign = await put(h, make_part(project="elsewhere"))
        assert (foreign.status_code, foreign.json()["errors"][0]["place"]) == (400, "metadata.project")
        canary = await put(h, make_part(canary={"steps": [5]}))
        assert (canary.status_code, canary.json()["code"]) == (400, "not-built-yet")
        assert (await h.viewer.get("/v1/projects/default/deployments")).json()["items"] == []


@pytest.mark.both_databases
async def test_promotions_roll_out_in_order_and_old_ones_do_nothing(
    tmp_path: Path, registry: Any, make_part: Any
) -> None:
    server = RememberingServer()
    async with control(tmp_path, registry, server) as h:
        await promote(h, 1, 1)  # nobody knows the loop yet
        await put(h, make_part())
        await promote(h, 2, 5)
        await reaches(h, model_version=2, revision=1, state="serving", ledger_sequence=5)
        await promote(h, 1, 4)
        await promote(h, 3, 6)
        found = await reaches(h, model_version=3, revision=2)
        assert found["package"] == f"{3:064x}" and found["message"] == ""
        assert server.loaded == [2, 3]

        async def told() -> bool:
            return len(h.published(RolloutChanged)) == 2

        await h.until(told)
        first, second = (event for _, event in await h.relayed(RolloutChanged))
        assert (first.from_version, first.to_version, second.from_version, second.to_version) == (None, 2, 2, 3)


async def test_the_same_event_again_rolls_out_once(tmp_path: Path, registry: Any, make_part: Any) -> None:
    server = RememberingServer()
    async with control(tmp_path, registry, server) as h:
        await put(h, make_part())
        event = VersionPromoted(model="delay", to_version=1, package="a" * 64, by="ada", ledger_sequence=1)
        envelope = await h.publish(event, subject=Urn("default", "model", "delay", "1"))
        await reaches(h, model_version=1)
        await h.deliver(envelope)
        await promote(h, 1, 1, "a" * 64)
        await promote(h, 2, 2)
        await reaches(h, model_version=2)
        assert server.loaded == [1, 2]


async def test_a_version_that_cannot_be_loaded_leaves_the_old_one(
    tmp_path: Path, registry: Any, make_part: Any
) -> None:
    server = RememberingServer()
    async with control(tmp_path, registry, server) as h:
        await put(h, make_part())
        server.broken = {"b" * 64}
        await promote(h, 1, 1, "b" * 64)
        found = await reaches(h, state="failed")
        assert found["message"] == "version 1 could not be loaded: the booster has no trees"
        await promote(h, 2, 2)
        await reaches(h, state="serving", model_version=2, message="")
        await promote(h, 3, 3, "b" * 64)
        found = await reaches(
            h, message="version 3 could not be loaded: the booster has no trees; version 2 keeps serving"
        )
        assert (found["state"], found["model_version"], found["revision"]) == ("serving", 2, 1)
        assert len(await h.relayed(RolloutChanged)) == 1


async def test_a_start_asks_the_registry_and_takes_newer_champions_only(
    tmp_path: Path, registry: Any, make_part: Any
) -> None:
    server = RememberingServer()
    registry.champions["default", "delay"] = (4, "4" * 64, 40)
    async with control(tmp_path, registry, server) as h:
        await put(h, make_part())
        await reaches(h, model_version=4, ledger_sequence=40)
    registry.champions["default", "delay"] = (5, "5" * 64, 50)
    async with control(tmp_path, registry, server) as h:
        await reaches(h, model_version=5, revision=2)
    registry.champions["default", "delay"] = (3, "3" * 64, 30)
    calls = len(registry.calls)
    async with control(tmp_path, registry, RememberingServer()) as h:

        async def asked() -> bool:
            return len(registry.calls) > calls

        await h.until(asked)
        await asyncio.sleep(0.3)
        await reaches(h, model_version=5, revision=2, state="serving")


async def test_a_model_server_that_forgot_is_told_again(tmp_path: Path, registry: Any, make_part: Any) -> None:
    server = RememberingServer()
    async with control(tmp_path, registry, server) as h:
        await put(h, make_part())
        await promote(h, 1, 1)
        await reaches(h, model_version=1)
        server.serving.clear()

        async def back() -> bool:
            return ("default", "delay") in server.serving

        await h.until(back)
        await put(h, make_part(2, logFeatures=False))

        async def changed() -> bool:
            return not server.serving["default", "delay"].part.log_features

        await h.until(changed)
        assert (await h.viewer.get(DEPLOYMENT)).json()["revision"] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("predictions/01890000-0000-7000-8000-000000000000", 404),
        ("predictions/eb48f6a9-2c00-7000-8000-000000000000", 404),  # a UUIDv7 of the year 10189
        ("predictions/ffffffff-ffff-7fff-bfff-ffffffffffff", 404),
        ("predictions/not-an-id", 422),
        ("predictions/..%2f..%2fsecrets", 404),
        ("predictions/01890000-0000-4000-8000-000000000000", 422),
        ("deployments/nobody", 404),
        ("deployments/No_Name", 422),
    ],
)
async def test_names_and_ids_that_lead_nowhere(tmp_path: Path, registry: Any, path: str, status: int) -> None:
    async with control(tmp_path, registry, RememberingServer()) as h:
        answer = await h.viewer.get(f"/v1/projects/default/{path}")
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_every_route_is_guarded(tmp_path: Path, registry: Any, make_part: Any) -> None:
    async with control(tmp_path, registry, RememberingServer()) as h:
        assert await assert_every_route_is_guarded(h) >= 5
        assert (await h.viewer.post(f"{DEPLOYMENT}/flush")).status_code == 403
        assert (await h.operator.post(f"{DEPLOYMENT}/flush")).status_code == 404
        body = make_part().model_dump(mode="json", by_alias=True)
        assert (await h.admin.put(LOOP, json=body)).status_code == 403


def test_migrations_make_the_tables(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)
