"""Events to online features and training sets, with real jobs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capstan_contracts.events import FeaturesMaterialized
from capstan_feature_store.actions.keep_online import KeepOnline
from capstan_feature_store.app import build
from capstan_feature_store.settings import Settings
from capstan_formats.online.store import read_pointer
from capstan_testkit.harness import Harness, running

pytestmark = pytest.mark.integration
P = "/v1/projects/default"
World = Any
"""The class in conftest.py, which import mode importlib does not let us name."""


async def register(h: Harness, world: World, **how: Any) -> list[str]:
    response = await h.service.put(f"{P}/loops/flight-delay", json=world.loop_part(**how))
    assert response.status_code == 200, response.text
    changes: list[str] = response.json()["changes"]
    return changes


async def commit_all(h: Harness, world: World) -> None:
    for manifest in (
        await world.commit("planes", world.PLANES, world.PLANE_ROWS),
        await world.commit("flights", world.FLIGHTS, world.FIRST),
    ):
        event, subject = world.committed(manifest)
        await h.publish(event, subject=subject)


async def settled(h: Harness, count: int) -> list[dict[str, Any]]:
    """All materializations, once `count` of them are there and done."""

    async def done() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await h.viewer.get(f"{P}/materializations")).json()["items"]
        finished = [item for item in items if item["state"] in {"succeeded", "failed"}]
        return items if len(finished) == len(items) >= count else []

    found: list[dict[str, Any]] = await h.until(done, timeout=40)
    return found


async def training_set(h: Harness, body: dict[str, Any]) -> dict[str, Any]:
    response = await h.operator.post(f"{P}/training-sets", json=body)
    assert response.status_code == 202, response.text
    address = f"{P}/training-sets/{response.json()['id']}"

    async def done() -> dict[str, Any] | None:
        found: dict[str, Any] = (await h.viewer.get(address)).json()
        return found if found["state"] in {"succeeded", "failed"} else None

    found: dict[str, Any] = await h.until(done, timeout=40)
    return found


async def online(h: Harness, world: World, at: float, carriers: list[Any], tails: list[Any]) -> dict[str, Any]:
    body = {
        "feature_service": "flight_v1",
        "entities": {"carrier": carriers, "tailnum": tails},
        "event_time": world.hour(at).isoformat(),
    }
    response = await h.viewer.post(f"{P}/online-features", json=body)
    assert response.status_code == 200, response.text
    return {view["view"]: view for view in response.json()["views"]}


@pytest.mark.both_databases
async def test_committed_data_becomes_online_features(h: Harness, world: World) -> None:
    changes = await register(h, world)
    assert [change.split(":")[0] for change in changes] == [
        "view carrier_recent is new", "view planes is new", "feature service flight_v1 is new",
    ]  # fmt: skip
    before = await online(h, world, 10, ["AA"], ["N1"])
    assert before["carrier_recent"]["status"] == ["missing"]
    await commit_all(h, world)
    items = await settled(h, 2)
    assert {(item["view"], item["state"], item["rows"]) for item in items} == {
        ("carrier_recent", "succeeded", 1),
        ("planes", "succeeded", 2),
    }
    found = await online(h, world, 10, ["AA", "XX", None], ["N1", "N2", "N9"])
    carrier, planes = found["carrier_recent"], found["planes"]
    assert carrier["status"] == ["present", "missing", "missing"]
    assert carrier["columns"] == {"delay": [0.0, None, None], "flights": [3, None, None]}
    assert carrier["event_times"][0] == "2013-01-01T08:00:00Z"
    assert planes["columns"]["seats"] == [100, None, None]
    assert planes["columns"]["listed_at"][0] == "2012-12-31T19:00:00Z"
    assert planes["status"] == ["present", "present", "missing"]
    hours = (2.9, 3, 4, 8.9, 9, 18, 18.001)
    then = [(await online(h, world, at, ["AA"], ["N1"]))["carrier_recent"] for at in hours]
    assert [one["status"][0] for one in then] == ["missing", *["present"] * 5, "expired"]
    assert [one["columns"]["delay"][0] for one in then] == [None, 5.0, 30.0, 30.0, 0.0, 0.0, None]
    (_, event), *_ = [one for one in await h.relayed(FeaturesMaterialized) if one[1].view == "carrier_recent"]
    assert (event.rows, event.event_time_min, event.online_watermark) == (1, world.hour(2), world.hour(8))
    view = (await h.viewer.get(f"{P}/views/carrier_recent")).json()
    assert (view["dataset_version"], view["online_rows"]) == (event.dataset_version, 1)


async def test_a_redelivered_event_does_nothing_and_a_new_version_moves_values_on(h: Harness, world: World) -> None:
    await register(h, world)
    first = await world.commit("flights", world.FLIGHTS, world.FIRST)
    event, subject = world.committed(first)
    envelope = await h.publish(event, subject=subject)
    await settled(h, 1)
    await h.deliver(envelope)
    second = await world.commit("flights", world.FLIGHTS, world.FIRST, world.SECOND)
    event, subject = world.committed(second)
    await h.publish(event, subject=subject)
    items = await settled(h, 2)
    assert [item["dataset_version"] for item in items] == [second.version, first.version]
    found = await online(h, world, 16, ["AA", "UA"], ["N1", "N1"])
    assert found["carrier_recent"]["columns"]["delay"] == [20.0, 40.0]
    assert len(await h.relayed(FeaturesMaterialized)) == 2
    body = {"view": "carrier_recent", "dataset_version": first.version[:12]}
    asked = await h.operator.post(f"{P}/materializations", json=body)
    assert asked.status_code == 202
    items = await settled(h, 3)
    assert items[0]["state"] == "succeeded"
    assert items[0]["progress"]["message"].startswith("skipped: the online store holds version")
    assert (await online(h, world, 16, ["AA"], ["N1"]))["carrier_recent"]["columns"]["delay"] == [20.0]


async def test_a_corrected_value_replaces_the_wrong_one(h: Harness, world: World) -> None:
    await register(h, world)
    for delay in (3.0, 11.0, 7.0):
        manifest = await world.commit("flights", world.FLIGHTS, [world.flight(1, 0, delay)])
        event, subject = world.committed(manifest)
        await h.publish(event, subject=subject)
        await settled(h, len(world.manifests["flights"]))
        assert (await online(h, world, 5, ["AA"], ["N1"]))["carrier_recent"]["columns"]["delay"] == [delay]


async def test_what_was_withdrawn_or_moved_to_an_earlier_time_is_gone(h: Harness, world: World) -> None:
    await register(h, world)
    answers = []
    for rows in (
        [world.flight(1, 0, 5.0), world.flight(2, 1, 30.0), world.flight(3, 1, 9.0, carrier="UA")],
        [world.flight(1, 0, 5.0), world.flight(2, 1, 30.0)],
        [world.flight(1, 0, 5.0), world.flight(2, -3, 30.0)],
    ):
        event, subject = world.committed(await world.commit("flights", world.FLIGHTS, rows))
        await h.publish(event, subject=subject)
        await settled(h, len(world.manifests["flights"]))
        answers.append((await online(h, world, 10, ["AA", "UA"], ["N1", "N1"]))["carrier_recent"]["columns"]["delay"])
    assert answers == [[30.0, 9.0], [30.0, None], [5.0, None]]


async def test_a_read_before_all_that_is_kept_says_unknown(h: Harness, world: World) -> None:
    await register(h, world)
    rows = [world.flight(number, number, float(number)) for number in range(8)]
    event, subject = world.committed(await world.commit("flights", world.FLIGHTS, rows))
    await h.publish(event, subject=subject)
    await settled(h, 1)
    found = [(await online(h, world, at, ["AA", "UA"], ["N1", "N1"]))["carrier_recent"] for at in (6.9, 7, 10)]
    assert [one["status"] for one in found] == [
        ["unknown", "missing"], ["present", "missing"], ["present", "missing"],
    ]  # fmt: skip
    assert [one["columns"]["delay"][0] for one in found] == [None, 4.0, 7.0]


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f9ea\u200d\U0001f4a5",
        "Zu\u0308rich",
        "Z\u00fcrich",
        "\u202e\u05d0\u05d1",
        "\u00e9" * 5_000,
        "a\r\nb",
        "",
        "'\"\\",
    ],
)
async def test_any_text_is_a_key_and_a_value_as_it_is(h: Harness, world: World, text: str) -> None:
    await register(h, world)
    rows = [{"tailnum": text, "seats": 1, "model": text, "listed_at": world.hour(0)}]
    event, subject = world.committed(await world.commit("planes", world.PLANES, rows))
    await h.publish(event, subject=subject)
    await settled(h, 1)
    found = await online(h, world, 1, ["AA", "AA"], [text, text + "\u0301"])
    assert found["planes"]["columns"]["model"] == [text, None]
    asked = {"keys": {"tailnum": text}, "event_time": world.hour(1).isoformat()}
    explained = await h.viewer.post(f"{P}/views/planes/explain", json=asked)
    assert [row["values"]["model"] for row in explained.json()["rows"]] == [text]
    for refused in ("a\x00", "\ud800"):
        content = json.dumps({"keys": {"tailnum": refused}, "event_time": world.hour(1).isoformat()})
        answer = await h.viewer.post(
            f"{P}/views/planes/explain", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400 and "a string holds" in answer.json()["detail"], answer.text


async def test_a_store_of_an_older_format_is_made_again(h: Harness, world: World) -> None:
    await register(h, world)
    await commit_all(h, world)
    await settled(h, 2)
    before = await online(h, world, 10, ["AA"], ["N1"])
    with closing(sqlite3.connect(read_pointer(h.home / "online" / "default", "planes"))) as connection, connection:
        connection.execute("UPDATE meta SET value = CAST(replace(value, 'online/2', 'online/1') AS BLOB)")
    (keeper,) = (task for task in h.service_.tasks if isinstance(task, KeepOnline))
    assert await keeper.once() <= 1  # the service's own may have been faster
    await settled(h, 3)
    assert await online(h, world, 10, ["AA"], ["N1"]) == before
    assert await keeper.once() == 0


async def test_older_versions_in_the_queue_are_skipped_and_say_so(h: Harness, world: World) -> None:
    manifests = [await world.commit("flights", world.FLIGHTS, world.FIRST[: n + 1]) for n in range(4)]
    world.down = True
    await register(h, world)
    for manifest in manifests:
        event, subject = world.committed(manifest)
        await h.publish(event, subject=subject)

    async def queued() -> bool:
        return len((await h.viewer.get(f"{P}/materializations")).json()["items"]) == 4

    await h.until(queued)
    world.down = False
    items = await settled(h, 4)
    assert [item["state"] for item in items] == ["succeeded"] * 4
    assert items[0]["rows"] == 1
    skipped = [item for item in items if item["progress"]["message"].startswith("skipped: ")]
    assert len(skipped) >= 2
    assert len(await h.relayed(FeaturesMaterialized)) == 4 - len(skipped)


@pytest.mark.both_databases
async def test_a_training_set_has_every_label_once_as_known_at_its_time(h: Harness, world: World) -> None:
    await register(h, world)
    await world.commit("planes", world.PLANES, world.PLANE_ROWS)
    flights = await world.commit("flights", world.FLIGHTS, world.FIRST, world.SECOND)
    body = {
        "feature_service": "flight_v1",
        "dataset": "flights",
        "dataset_version": flights.version[:12],
        "label": "late",
    }
    made = await training_set(h, body)
    assert (made["state"], made["rows"], made["unlabelled"]) == ("succeeded", 6, 1), made
    assert made["dataset_versions"] == {"flights": flights.version, "planes": world.manifests["planes"][-1].version}
    table = pq.read_table(await h.kit.objects.local_path("default", made["digest"]))
    assert table.schema.names == [
        "item_id", "label", "departs", "carrier", "tailnum", "departs_hour", "carrier_recent__delay",
        "carrier_recent__flights", "carrier_recent__event_ts", "planes__seats", "planes__model", "planes__listed_at",
        "planes__event_ts", "_file", "_row",
    ]  # fmt: skip
    rows = table.to_pylist()
    batches = [file.batch[:12] for file in flights.files]
    assert [row["item_id"] for row in rows] == [f"{batches[0]}:{n}" for n in (0, 1, 3, 4)] + [
        f"{batches[1]}:{n}" for n in (0, 1)
    ]
    assert [row["carrier_recent__delay"] for row in rows] == [None, None, 30.0, None, None, 0.0]
    assert [row["planes__model"] for row in rows] == ["A", "A", None, "A", None, "A"]
    again = await training_set(h, {**body, "dataset_version": flights.version, "sources": {}})
    assert (again["id"], again["digest"]) == (made["id"], made["digest"])
    unknown = await training_set(h, {**body, "as_known": False})
    assert unknown["id"] != made["id"]
    rows = pq.read_table(await h.kit.objects.local_path("default", unknown["digest"])).to_pylist()
    assert [row["carrier_recent__delay"] for row in rows] == [None, None, 30.0, None, None, 0.0]


async def test_offline_equals_online(h: Harness, world: World) -> None:
    """Each label's features in the training set are what the online store gave when only what was known was there."""
    await register(h, world)
    known: list[dict[str, Any]] = []
    offline_rows = [*world.FIRST, *world.SECOND, world.flight(8, 14, 3.0), world.flight(9, 40, 1.0, carrier="UA")]
    await world.commit("planes", world.PLANES, world.PLANE_ROWS)
    full = await world.commit("flights", world.FLIGHTS, offline_rows)
    body = {"feature_service": "flight_v1", "dataset": "flights", "dataset_version": full.version, "label": "late"}
    made = await training_set(h, body)
    table = pq.read_table(await h.kit.objects.local_path("default", made["digest"])).to_pylist()
    assert {row["carrier_recent__flights"] for row in table} == {None, 2, 3}
    count = 0
    for row in sorted(table, key=lambda one: one["departs"]):
        now_known = [one for one in offline_rows if one["recorded_at"] <= row["departs"]]
        if now_known and now_known != known:
            known = now_known
            event, subject = world.committed(await world.commit("flights", world.FLIGHTS, known))
            await h.publish(event, subject=subject)
            count += 1
            await settled(h, count)
        at = (row["departs"] - world.hour(0)) / timedelta(hours=1)
        found = (await online(h, world, at, [row["carrier"]], [row["tailnum"]]))["carrier_recent"]
        assert found["columns"]["delay"] == [row["carrier_recent__delay"]], row
        assert found["columns"]["flights"] == [row["carrier_recent__flights"]], row


async def test_explain_leads_back_to_file_and_row(h: Harness, world: World) -> None:
    await register(h, world)
    flights = await world.commit("flights", world.FLIGHTS, world.FIRST, world.SECOND)
    body = {"keys": {"carrier": "AA"}, "event_time": world.hour(3).isoformat()}
    found = (await h.viewer.post(f"{P}/views/carrier_recent/explain", json=body)).json()
    assert found["total"] == 1
    (row,) = found["rows"]
    assert (row["file"], row["batch"], row["row"]) == ("p0/data.parquet", flights.files[0].batch, 1)
    assert (row["values"]["flight"], row["values"]["delay"]) == (2, 30.0)
    before = await h.viewer.post(
        f"{P}/views/carrier_recent/explain", json={**body, "event_time": world.hour(15.5).isoformat()}
    )
    assert [(row["file"], row["row"]) for row in before.json()["rows"]] == [("p1/data.parquet", 1)]
    nobody = await h.viewer.post(f"{P}/views/carrier_recent/explain", json={**body, "keys": {"carrier": "ZZ"}})
    assert (nobody.json()["rows"], nobody.json()["total"]) == ([], 0)
    bad = await h.viewer.post(f"{P}/views/carrier_recent/explain", json={**body, "keys": {"carrier": 7, "x": 1}})
    assert (bad.status_code, {error["place"] for error in bad.json()["errors"]}) == (422, {"keys.carrier", "keys.x"})


async def test_a_killed_job_is_done_again(h: Harness, world: World) -> None:
    await register(h, world)
    rows = [world.flight(n, n % 5000 / 10, float(n % 90)) for n in range(60_000)]
    event, subject = world.committed(await world.commit("flights", world.FLIGHTS, rows))
    await h.publish(event, subject=subject)

    async def working() -> bool:
        items = (await h.viewer.get(f"{P}/materializations")).json()["items"]
        return bool(items) and items[0]["state"] == "running" and bool(h.kit.jobs.at_work)

    await h.until(working)
    await asyncio.sleep(0.3)
    for worker in h.kit.jobs.at_work:
        worker.kill()
    (item,) = await settled(h, 1)
    assert (item["state"], item["rows"]) == ("succeeded", 1)

    async def told() -> bool:
        return bool(h.published(FeaturesMaterialized))

    await h.until(told)
    assert len(await h.relayed(FeaturesMaterialized)) == 1


async def test_a_restart_takes_up_what_was_queued(tmp_path: Path, world: World) -> None:
    async with running(Settings, build, tmp_path, peers=world.answer) as h:
        await register(h, world)
        event, subject = world.committed(await world.commit("flights", world.FLIGHTS, world.FIRST))
        world.down = True
        await h.publish(event, subject=subject)

        async def queued() -> bool:
            return bool((await h.viewer.get(f"{P}/materializations")).json()["items"])

        await h.until(queued)
    world.down = False
    async with running(Settings, build, tmp_path, peers=world.answer) as h:
        (item,) = await settled(h, 1)
        assert item["state"] == "succeeded"


async def test_a_new_definition_replaces_the_old_one_online(h: Harness, world: World) -> None:
    await register(h, world)
    await commit_all(h, world)
    await settled(h, 2)
    changed = world.definitions(
        sql="SELECT carrier, arrives, recorded_at, -delay AS delay, 1 AS flights FROM flights WHERE delay > 1"
    )
    (sentence,) = await register(h, world, generation=2, made=changed)
    assert sentence.startswith("view carrier_recent changes from version")
    await settled(h, 3)
    found = (await online(h, world, 10, ["AA"], ["N1"]))["carrier_recent"]
    assert found["columns"] == {"delay": [-30.0], "flights": [1]}


async def test_sql_that_does_not_fit_the_data_fails_with_its_place(h: Harness, world: World) -> None:
    await register(
        h,
        world,
        made=world.definitions(sql="SELECT carrier, arrives, recorded_at, nothing AS delay, 1 AS flights FROM flights"),
    )
    await commit_all(h, world)
    failed = [item for item in await settled(h, 2) if item["state"] == "failed"]
    assert [item["view"] for item in failed] == ["carrier_recent"]
    assert failed[0]["problem"]["errors"][0]["place"] == "views[carrier_recent].sql"
    assert "nothing" in failed[0]["problem"]["detail"]
    made = world.definitions(columns=[{"name": "delay", "dtype": "string"}, {"name": "gone", "dtype": "int64"}])
    response = await h.service.put(f"{P}/loops/flight-delay", json=world.loop_part(2, made))
    assert response.status_code == 400
    assert {error["place"] for error in response.json()["errors"]} == {
        "views[carrier_recent].columns[delay]", "views[carrier_recent].columns[gone]",
    }  # fmt: skip


async def test_a_label_that_is_not_there_fails_the_training_set_and_can_be_asked_again(
    h: Harness, world: World
) -> None:
    await register(h, world)
    await world.commit("planes", world.PLANES, world.PLANE_ROWS)
    flights = await world.commit("flights", world.FLIGHTS, world.FIRST)
    body = {"feature_service": "flight_v1", "dataset": "flights", "dataset_version": flights.version, "label": "nope"}
    made = await training_set(h, body)
    assert (made["state"], made["problem"]["errors"][0]["place"]) == ("failed", "label")
    assert (await training_set(h, body))["state"] == "failed"
