"""Every stored byte of a dataset is read again: what is damaged or gone is named, with the versions that hold it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.rest.ingestion import Scrub
from capstan_contracts.work import State
from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_testkit.harness import Harness, job_pythons, running

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(240),
    pytest.mark.skipif("ingestion" not in job_pythons(), reason="ingestion's job environment is not installed"),
]
Make = Callable[..., Any]
BASE = "/v1/projects/default"


@pytest.fixture
async def h(tmp_path: Path, make_spec: Make) -> AsyncIterator[Harness]:
    async with running(Settings, build, tmp_path, job_idle_s=200) as harness:
        for name in ("trips", "others"):
            assert (await harness.admin.put(f"{BASE}/datasets/{name}", json=make_spec(name))).status_code == 200
        yield harness


async def send(h: Harness, dataset: str, partition: str, content: bytes) -> dict[str, Any]:
    answer = await h.operator.post(
        f"{BASE}/datasets/{dataset}/batches", params={"partition": partition, "filename": f"{partition}.parquet"},
        content=content,
    )  # fmt: skip
    assert answer.status_code == 202, answer.text

    async def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = (await h.viewer.get(f"{BASE}/batches/{answer.json()['id']}")).json()
        return found if found["state"] in {"committed", "quarantined", "failed"} else None

    found: dict[str, Any] = await h.until(ended, timeout=90)
    return found


async def scrub(h: Harness, dataset: str | None = None) -> Scrub:
    answer = await h.operator.post(f"{BASE}/scrubs", json={"dataset": dataset})
    assert answer.status_code == 202, answer.text

    async def ended() -> Scrub | None:
        found = Scrub.model_validate_json((await h.viewer.get(f"{BASE}/scrubs/{answer.json()['id']}")).content)
        return found if found.state.finished else None

    found: Scrub = await h.until(ended, timeout=60)
    assert found.state is State.SUCCEEDED, found.problem
    return found


def flip(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


async def test_what_is_damaged_or_gone_is_named_and_healed_by_the_right_bytes(
    h: Harness, make_parquet: Make, make_columns: Make
) -> None:
    first, second = (make_parquet(make_columns(start=start)) for start in (0, 100))
    assert (await send(h, "trips", "one", first))["state"] == "committed"
    assert (await send(h, "trips", "two", second))["state"] == "committed"
    quarantined = make_parquet(make_columns(start=300, distance=[-1.0] * 10))
    assert (await send(h, "others", "bad", quarantined))["state"] == "quarantined"
    whole = await scrub(h)
    # trips: two files, as objects and for DVC, two manifests and folders, two batches; others: a batch and its rows
    assert (whole.objects, whole.damaged, whole.gone, whole.findings) == (12, 0, 0, [])

    head, base = (await h.viewer.get(f"{BASE}/datasets/trips/versions")).json()["items"]
    store = h.home / "objects" / "default"
    file = next(file for file in head["files"] if file["partition"] == "one")
    raw = next(file for file in head["files"] if file["partition"] == "two")["batch"]
    flip(store / "sha256" / file["sha256"][:2] / file["sha256"])  # and by that DVC's: it is the same inode
    (store / "sha256" / raw[:2] / raw).unlink()
    found = await scrub(h, "trips")
    assert (found.objects, found.damaged, found.gone) == (10, 2, 1)
    assert {(one.what, one.condition, one.digest) for one in found.findings} == {
        ("file", "damaged", file["sha256"]), ("dvc-file", "damaged", file["md5"]), ("batch", "gone", raw),
    }  # fmt: skip
    named = next(one for one in found.findings if one.what == "file")
    assert (named.dataset, named.partition, named.path) == ("trips", "one", "one.parquet")
    assert named.versions == [base["version"], head["version"]]
    assert (await scrub(h, "others")).findings == []

    # The next commit beside it does not read it; one that has to says what it could not read.
    third = await send(h, "trips", "three", make_parquet(make_columns(start=5)))
    assert third["state"] == "failed" and third["problem"]["code"] == "damaged"
    assert "dataset 'trips': the file one.parquet of partition one is damaged" in third["problem"]["detail"]

    flip(store / "dvc" / "files" / "md5" / file["md5"][:2] / file["md5"][2:])
    healed = await scrub(h, "trips")
    assert [(one.what, one.digest) for one in healed.findings] == [("batch", raw)]


async def test_a_scrub_of_what_is_not_there_is_refused_and_one_can_be_asked_for_twice(h: Harness) -> None:
    assert (await h.operator.post(f"{BASE}/scrubs", json={"dataset": "nobody"})).status_code == 404
    assert (await h.viewer.post(f"{BASE}/scrubs", json={})).status_code == 403
    same = [
        (await h.operator.post(f"{BASE}/scrubs", json={}, headers={"Idempotency-Key": "k"})).json() for _ in range(2)
    ]
    assert same[0]["id"] == same[1]["id"]
    other = (await h.operator.post(f"{BASE}/scrubs", json={})).json()
    page = (await h.viewer.get(f"{BASE}/scrubs", params={"limit": 1})).json()
    assert ([one["id"] for one in page["items"]], page["next"]) == ([other["id"]], other["id"])

    async def ended() -> bool:
        found = (await h.viewer.get(f"{BASE}/scrubs/{other['id']}")).json()
        return bool(found["state"] == "succeeded")

    await h.until(ended, timeout=30)
    assert (await h.operator.post(f"{BASE}/scrubs/{other['id']}/cancel")).status_code == 409
