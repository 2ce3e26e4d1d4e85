"""The chain of versions: what is committed, once, in which order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_ingestion.app import compose
from capstan_ingestion.settings import Settings
from capstan_servicekit.runtime import Kit
from capstan_testkit.harness import Harness, running
from capstan_testkit.suites.version_stores import VersionStoreBehaviour

Make = Callable[..., Any]
BASE = "/v1/projects/default"


class TestNamedStore(VersionStoreBehaviour):
    """The fake, which the `store` fixture gives."""


async def test_files_that_did_not_change_are_shared_with_the_parent(h: Harness, trips: Any) -> None:
    await trips.send("1\n2", "a")
    await trips.send("3", "b")
    await trips.send("1\n2\n9", "a")
    third, second, first = await trips.versions()
    assert [one["sequence"] for one in (first, second, third)] == [1, 2, 3]
    assert (second["parent"], third["parent"]) == (first["version"], second["version"])
    assert second["files"][0] == first["files"][0] and third["files"][1] == second["files"][1]
    assert [file["rows"] for file in third["files"]] == [3, 1] and third["rows"] == 4
    dataset = (await h.viewer.get(f"{BASE}/datasets/trips")).json()
    assert (dataset["latest"], dataset["rows"], dataset["partitions"]) == (third["version"], 4, 2)
    events = await trips.committed(3)
    assert [(one.parent, one.partition, one.rows, one.total_rows) for one in events] == [
        (None, "a", 2, 2),
        (first["version"], "b", 1, 3),
        (second["version"], "a", 3, 4),
    ]
    for one in (first, second, third):
        content = await h.kit.objects.read("default", one["version"])
        assert hashlib.sha256(content).hexdigest() == one["version"]


async def test_the_same_rows_again_make_no_version_and_no_event(trips: Any) -> None:
    first = await trips.send("1\n2")
    assert (await trips.post("1\n2"))["status"] == 200
    same_rows = await trips.send("1\n2\n")
    assert same_rows["id"] != first["id"] and same_rows["version"] == first["version"]
    assert len(await trips.versions()) == 1
    assert len(await trips.committed(1)) == 1


@pytest.mark.both_databases
async def test_going_back_to_former_bytes_goes_back_to_the_former_version(h: Harness, trips: Any) -> None:
    first = await trips.send("1")
    second = await trips.send("2")
    back = await trips.post("1")
    assert back["status"] == 202
    assert (await trips.ended(back["id"]))["version"] == first["version"]
    latest = (await h.viewer.get(f"{BASE}/datasets/trips")).json()["latest"]
    assert latest == first["version"] and len(await trips.versions()) == 2
    assert [one.parent for one in await trips.committed(3)] == [None, first["version"], second["version"]]
    fourth = await trips.send("4")
    assert [one["sequence"] for one in await trips.versions()] == [3, 2, 1]
    assert (await trips.versions())[0]["parent"] == first["version"] and fourth["version"] == (await trips.versions())[
        0
    ]["version"]


@pytest.mark.both_databases
async def test_batches_that_come_at_once_all_end_in_the_chain(trips: Any) -> None:
    posted = await asyncio.gather(*(trips.post(f"{number}", f"p{number}") for number in range(8)))
    for one in posted:
        assert (await trips.ended(one["id"]))["state"] == "committed"
    chain = await trips.versions()
    assert len(chain) == 8 and len(chain[0]["files"]) == 8
    assert [one["parent"] for one in chain] == [*(one["version"] for one in chain[1:]), None]


async def test_a_commit_of_another_process_in_between_is_built_upon(
    trips: Any, tmp_path: Path, store: Any, checker: Any
) -> None:
    await trips.send("1", "a")
    held, freed = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        held.set()
        await freed.wait()

    store.meanwhile = hold
    slow = await trips.post("2", "b")
    await held.wait()
    async with running(
        Settings,
        lambda settings: compose(Kit.from_settings(settings), settings, checker=checker, store=store),
        tmp_path,
    ) as other:
        quick = await trips.at(other).send("3", "c")
        assert quick["state"] == "committed"
        freed.set()
        assert (await trips.ended(slow["id"]))["state"] == "committed"
    chain = await trips.versions()
    assert [len(one["files"]) for one in chain] == [3, 2, 1]
    assert [file["partition"] for file in chain[0]["files"]] == ["a", "b", "c"]
    assert chain[0]["parent"] == chain[1]["version"] == quick["version"]


async def test_a_fault_is_tried_again_and_its_effect_happens_once(trips: Any, checker: Any) -> None:
    checker.hidden_faults = 1
    assert (await trips.send("1"))["state"] == "committed"
    assert len(await trips.versions()) == 1 and len(await trips.committed(1)) == 1


async def test_a_version_is_found_by_its_first_characters(h: Harness, trips: Any) -> None:
    batch = await trips.send("1")
    whole = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{batch['version']}")).json()
    short = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{batch['version'][:12]}")).json()
    assert whole == short and whole["version"] == batch["version"]
    text = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{batch['version'][:12]}/dvc")).text
    assert whole["dvc_md5"] in text


async def test_a_file_that_becomes_what_another_partition_holds_is_placed_as_what_it_is(
    h: Harness, trips: Any, make_spec: Make
) -> None:
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(onRepeatedKeys="replace"))).status_code == 200
    await trips.send("-\n2", "a")
    await trips.send("-", "b")
    assert (await trips.send("2", "c"))["state"] == "committed"
    files = (await trips.versions())[0]["files"]
    md5s = {file["partition"]: file["md5"] for file in files}
    assert md5s["a"] == md5s["b"] == hashlib.md5(b"-", usedforsecurity=False).hexdigest()
