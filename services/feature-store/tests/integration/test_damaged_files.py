"""A bit that flips in a data file: named, never learned from, and everything is made again once the file is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from capstan_contracts.rest.feature_store import TrainingSet
from capstan_contracts.work import State
from capstan_feature_store.domain.jobs import JoinedSet
from capstan_feature_store.tables import TrainingSetRow
from capstan_servicekit.jobs.pool import JobPool
from capstan_testkit.harness import Harness

pytestmark = pytest.mark.integration
P = "/v1/projects/default"
World = Any
"""The class in conftest.py, which import mode importlib does not let us name."""


def flip(path: Path) -> None:
    """One bit in the middle, in place; twice is as before."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def file_of(h: Harness, digest: str) -> Path:
    return h.home / "objects" / "default" / "sha256" / digest[:2] / digest


async def prepared(h: Harness, world: World) -> Any:
    await world.commit("planes", world.PLANES, world.PLANE_ROWS)
    flights = await world.commit("flights", world.FLIGHTS, world.FIRST, world.SECOND)
    response = await h.service.put(f"{P}/loops/flight-delay", json=world.loop_part())
    assert response.status_code == 200, response.text
    return flights


async def training_set(h: Harness, flights: Any) -> TrainingSet:
    body = {
        "feature_service": "flight_v1", "dataset": "flights", "dataset_version": flights.version, "label": "late",
    }  # fmt: skip
    response = await h.operator.post(f"{P}/training-sets", json=body)
    assert response.status_code == 202, response.text
    address = f"{P}/training-sets/{response.json()['id']}"

    async def done() -> TrainingSet | None:
        found = TrainingSet.model_validate_json((await h.viewer.get(address)).content)
        return found if found.state.finished else None

    found: TrainingSet = await h.until(done, timeout=60)
    return found


async def test_no_training_set_is_made_of_a_damaged_file_and_it_is_once_the_file_is_whole(
    h: Harness, world: World
) -> None:
    flights = await prepared(h, world)
    damaged = file_of(h, flights.files[1].sha256)
    (h.home / "of dvc").hardlink_to(damaged)  # DVC's store holds the same inode
    flip(damaged)
    refused = await training_set(h, flights)
    assert refused.state is State.FAILED and refused.digest is None and refused.problem is not None
    assert refused.problem.code == "damaged"
    for word in ("dataset 'flights'", flights.version[:12], "partition p1", "p1/data.parquet", "is damaged"):
        assert word in refused.problem.detail
    assert "backup" in refused.problem.hint and not damaged.exists()
    flip(h.home / "of dvc")
    made = await training_set(h, flights)
    assert (made.id, made.state, made.rows) == (refused.id, State.SUCCEEDED, 6)
    assert await training_set(h, flights) == made


async def test_a_file_that_changes_while_it_is_read_ends_the_build(
    h: Harness, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights = await prepared(h, world)
    damaged = file_of(h, flights.files[0].sha256)
    call = JobPool.call

    async def during(self: Any, kind: Any, *arguments: Any, **named: Any) -> Any:
        made = await call(self, kind, *arguments, **named)
        if isinstance(made, JoinedSet):
            monkeypatch.undo()
            flip(damaged)
        return made

    monkeypatch.setattr(JobPool, "call", during)
    refused = await training_set(h, flights)
    assert refused.state is State.FAILED and refused.problem is not None and refused.problem.code == "damaged"


async def test_a_training_set_whose_own_file_is_damaged_or_gone_is_made_again(h: Harness, world: World) -> None:
    flights = await prepared(h, world)
    made = await training_set(h, flights)
    assert made.digest is not None
    own = file_of(h, made.digest)
    flip(own)
    assert await training_set(h, flights) == made
    own.unlink()
    assert await training_set(h, flights) == made
    assert own.is_file()


async def test_a_training_set_of_a_release_that_did_not_check_is_made_again(h: Harness, world: World) -> None:
    flights = await prepared(h, world)
    made = await training_set(h, flights)
    wrong = {"checked": False, "digest": await h.kit.objects.put_bytes("default", b"made of a flipped bit")}
    async with h.kit.database.write() as session:
        await session.execute(update(TrainingSetRow).values(**wrong))
    assert await training_set(h, flights) == made


async def test_nothing_goes_online_of_a_damaged_file(h: Harness, world: World) -> None:
    flights = await prepared(h, world)
    flip(file_of(h, flights.files[0].sha256))
    event, subject = world.committed(flights)
    await h.publish(event, subject=subject)

    async def failed() -> dict[str, Any] | None:
        items = (await h.viewer.get(f"{P}/materializations")).json()["items"]
        return next((item for item in items if item["state"] == "failed"), None)

    found = await h.until(failed, timeout=60)
    assert found["problem"]["code"] == "damaged" and "p0/data.parquet" in found["problem"]["detail"]
