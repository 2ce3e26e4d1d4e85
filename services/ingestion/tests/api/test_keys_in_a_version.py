"""A key stands in one row of a version, and the same bytes in one partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capstan_ingestion.app import compose
from capstan_ingestion.settings import Settings
from capstan_servicekit.runtime import Kit
from capstan_testkit.harness import Harness, running

Make = Callable[..., Any]
BASE = "/v1/projects/default"
CSV = {"content-type": "text/csv"}


async def test_the_same_bytes_in_two_partitions_are_two_batches(h: Harness, trips: Any) -> None:
    first, second = await trips.send("bad", "a"), await trips.send("bad", "b")
    assert first["id"] == second["id"] and second["partition"] == "b"
    refused = await h.operator.post(f"{BASE}/batches/{first['id']}/replay")
    assert refused.status_code == 409 and "trips/a" in refused.json()["detail"]


async def test_keys_of_another_partition_are_quarantined(h: Harness, trips: Any) -> None:
    first = await trips.send("1\n2\n3", "a")
    flipped = await trips.send("3\n4", "b")
    assert flipped["state"] == "quarantined" and flipped["version"] is None
    check = flipped["verdict"]["checks"][-1]
    assert (check["key"], check["severity"], check["failing_rows"]) == ("keys:unique-in-version", "critical", 1)
    assert check["sentence"].startswith("id: 1 of 2 rows have a key that another partition has already: 'a' (1); send")
    rows = (await h.viewer.get(f"{BASE}/batches/{flipped['id']}/failing-rows")).json()
    assert rows["total"] == 1 and rows["rows"][0]["_checks"] == ["keys:unique-in-version"]
    assert [version["version"] for version in await trips.versions()] == [first["version"]]
    assert (await trips.send("4\n5", "b"))["state"] == "committed"
    assert (await trips.send("1\n3", "a"))["state"] == "committed", "a partition may always be sent again"


async def test_keys_of_another_partition_are_found_whoever_commits_first(trips: Any, store: Any) -> None:
    await trips.send("1", "a")
    posted = await asyncio.gather(*(trips.post(f"7\n{number}", f"p{number}") for number in range(20, 24)))
    states = [(await trips.ended(batch["id"]))["state"] for batch in posted]
    assert sorted(states) == ["committed", "quarantined", "quarantined", "quarantined"]
    assert (await trips.versions())[0]["rows"] == 3


async def test_rows_take_the_place_of_those_with_their_key_where_the_dataset_says_so(
    h: Harness, trips: Any, make_spec: Make
) -> None:
    answer = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(onRepeatedKeys="replace"))
    assert answer.status_code == 200, answer.text
    await trips.send("1\n2\n3", "a")
    await trips.send("8", "c")
    moved = await trips.send("3\n4\n8", "b")
    assert moved["state"] == "committed"
    (info,) = [check for check in moved["verdict"]["checks"] if check["key"] == "keys:unique-in-version"]
    assert info["severity"] == "info"
    assert info["sentence"] == "id: 2 of 3 rows take the place of rows with the same key in partition 'a' (1), 'c' (1)"
    newest, before = (await trips.versions())[:2]
    assert [(file["partition"], file["rows"]) for file in newest["files"]] == [("a", 2), ("b", 3)]
    assert newest["rows"] == 5 and [file["rows"] for file in before["files"]] == [3, 1], "a version never changes"
    left = await h.kit.objects.read("default", newest["files"][0]["sha256"])
    assert left == b"1\n2"


async def test_the_same_bytes_under_another_partition_name_are_an_error_that_names_the_first(
    h: Harness, trips: Any
) -> None:
    first = await trips.send("1\n2", "2013-01")
    up = f"{BASE}/datasets/trips/batches?partition=2013-01-copy"
    refused = await h.operator.post(up, content=b"1\n2", headers=CSV)
    assert refused.status_code == 409, refused.text
    assert refused.json()["detail"] == ("The same bytes are partition '2013-01' of dataset 'trips' already (committed)")
    assert "--allow-duplicate" in refused.json()["hint"]
    assert (await trips.versions())[0]["rows"] == 2
    allowed = await h.operator.post(f"{up}&allow_duplicate=true", content=b"1\n2", headers=CSV)
    assert allowed.status_code == 202
    assert (await trips.ended(first["id"]))["state"] == "quarantined", "its keys are still there once only"
    assert (await trips.versions())[0]["rows"] == 2


async def test_bytes_that_are_in_no_row_any_more_may_come_under_another_name(trips: Any) -> None:
    await trips.send("1\n2", "a")
    await trips.send("3", "a")
    assert (await trips.send("1\n2", "b"))["state"] == "committed"


async def test_times_of_a_former_clock_tell_nothing_about_keys(
    h: Harness, trips: Any, make_spec: Make, checker: Any
) -> None:
    await trips.send("1", "a")
    spec = make_spec(keys=["id", "heard"], event_time="heard")
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=spec)).status_code == 200
    checker.at = datetime(2020, 1, 1, tzinfo=UTC)
    assert (await trips.send("1\n2", "b"))["state"] == "quarantined"
    assert (await trips.send("3", "c"))["state"] == "committed"
    assert (await trips.send("1\n4", "d"))["state"] == "quarantined", "the head has the new clock, the first file not"
    assert [file["event_time_min"] for file in (await trips.versions())[0]["files"]] == [None, "2020-01-01T00:00:00Z"]


async def test_bytes_that_come_again_are_no_way_around_the_rule(h: Harness, trips: Any, checker: Any) -> None:
    await trips.send("1\n2", "a")
    await trips.send("3", "a")
    await trips.send("1\n2", "b")
    checker.refuse = True
    assert (await trips.send("7", "c"))["state"] == "failed"
    checker.refuse = False
    assert (await trips.send("7", "d"))["state"] == "committed"
    for partition, content, where in (("a", b"1\n2", "b"), ("c", b"7", "d")):
        up = f"{BASE}/datasets/trips/batches?partition={partition}"
        refused = await h.operator.post(up, content=content, headers=CSV)
        assert refused.status_code == 409, refused.text
        assert refused.json()["detail"].startswith(f"The same bytes are partition '{where}' of dataset 'trips' already")
        allowed = await h.operator.post(f"{up}&allow_duplicate=true", content=content, headers=CSV)
        assert allowed.status_code == 202
        assert await _state(h, partition) == "quarantined", "its keys are there still"


async def _state(h: Harness, partition: str) -> str:
    """Of the first batch of a partition, once it has a verdict: a digest alone would name the other partition's."""

    async def done() -> str | None:
        batches = (await h.viewer.get(f"{BASE}/datasets/trips/batches")).json()["items"]
        states = [batch["state"] for batch in batches if batch["partition"] == partition]
        return None if {"received", "checking"} & set(states) else str(states[-1])

    state: str = await h.until(done)
    return state


async def test_a_file_that_shares_no_key_is_read_once_however_often_the_head_moves(
    h: Harness, trips: Any, store: Any, checker: Any, tmp_path: Path
) -> None:
    for partition in ("a", "b"):
        await trips.send(partition, partition)
    checker.compared.clear()
    held, freed = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        held.set()
        await freed.wait()

    store.meanwhile = hold
    slow = await trips.post("s", "slow")
    await held.wait()
    async with running(
        Settings,
        lambda settings: compose(Kit.from_settings(settings), settings, checker=checker, store=store),
        tmp_path,
    ) as other:
        await trips.at(other).send("q", "quick")
        freed.set()
        assert (await trips.ended(slow["id"]))["state"] == "committed"
    assert checker.compared == ["a", "b", "a", "b", "quick"], "slow, quick, and slow again beside quick only"


async def test_files_that_lose_rows_are_placed_with_the_new_one_by_one_call(
    h: Harness, trips: Any, make_spec: Make, store: Any
) -> None:
    answer = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(onRepeatedKeys="replace"))
    assert answer.status_code == 200
    for number in range(4):
        await trips.send(f"{number}\n{number + 10}", f"p{number}")
    calls = store.calls
    assert (await trips.send("0\n1\n2\n3", "new"))["state"] == "committed"
    assert store.calls == calls + 1
    newest = (await trips.versions())[0]
    assert [(file["partition"], file["rows"]) for file in newest["files"]] == [
        ("new", 4), ("p0", 1), ("p1", 1), ("p2", 1), ("p3", 1),
    ]  # fmt: skip
    assert len({file["md5"] for file in newest["files"]}) == 5
