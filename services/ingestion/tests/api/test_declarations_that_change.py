"""Types, keys and clocks that are declared when files are there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capstan_testkit.harness import Harness

Make = Callable[..., Any]
BASE = "/v1/projects/default"


async def test_a_declared_wider_type_is_given_to_the_files_that_are_there(
    h: Harness, trips: Any, make_spec: Make, checker: Any
) -> None:
    first = await trips.send("1\n2", "a")
    await trips.send("3", "b")
    wrong = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(columns={"id": "date"}))
    assert wrong.status_code == 400 and wrong.json()["errors"][0]["place"] == "columns.id", wrong.text
    assert "is declared date, and the dataset's files have int64" in wrong.json()["detail"]
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(columns={"id": "string"}))).status_code == 200
    dataset = (await h.viewer.get(f"{BASE}/datasets/trips")).json()
    assert dataset["columns"] == {"id": "string"}
    checker.columns = {"id": "string", "more": "bool"}
    assert (await trips.send("4", "c"))["state"] == "committed"
    newest = (await trips.versions())[0]
    assert newest["columns"] == {"id": "string", "more": "bool"}
    texts = [await h.kit.objects.read("default", file["sha256"]) for file in newest["files"]]
    assert texts == [b"1 string\n2 string", b"3 string", b"4"]
    unchanged = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{first['version']}")).json()
    assert unchanged["columns"] == {"id": "int64"}


async def test_a_lone_file_may_be_sent_again_as_another_type(
    h: Harness, trips: Any, make_spec: Make, checker: Any
) -> None:
    await trips.send("1", "a")
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(columns={"id": "date"}))).status_code == 200
    checker.columns = {"id": "date"}
    assert (await trips.send("2", "a"))["state"] == "committed"
    assert (await trips.versions())[0]["columns"] == {"id": "date"}


async def test_a_key_or_clock_that_no_file_has_is_refused_when_it_is_registered(
    h: Harness, trips: Any, make_spec: Make
) -> None:
    await trips.send("1", "a")
    alone = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(keys=["id", "leg"]))
    assert alone.status_code == 200, "a lone file may be sent again with it"
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=make_spec())).status_code == 200
    await trips.send("2", "b")
    for place, changes in (
        ("keys", {"keys": ["id", "leg"]}), ("eventTime", {"event_time": "leg"}), ("knownAt", {"known_at": "leg"}),
    ):  # fmt: skip
        refused = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(**changes))
        assert (refused.status_code, refused.json()["errors"][0]["place"]) == (400, place), refused.text
        assert "leg: no file of the dataset has such a column" in refused.json()["detail"]
