"""Labels late, early, twice, corrected and never; live quality; redelivered events; damaged and strange segments."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sqlalchemy import func, select

from capstan_contracts.events import LabelsReceived, QualityDegraded
from capstan_formats.segments import SegmentWriter
from capstan_monitoring.tables import PartialRow, ScoredRow, SegmentRow
from capstan_servicekit.db.tables import DeadLetterRow, WorkRow

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


async def labelled(driver: Any, count: int) -> dict[str, Any]:
    async def there() -> Any:
        found = await driver.monitor()
        return found if found["labelled"] == count else None

    found: dict[str, Any] = await driver.h.until(there)
    return found


async def quality(driver: Any, count: int) -> list[dict[str, Any]]:
    """The quality list, once its labelled rows sum to `count`."""

    async def there() -> Any:
        found = await driver.get("/quality")
        return found if sum(one["labelled"] for one in found) == count else None

    found: list[dict[str, Any]] = await driver.h.until(there)
    return found


@pytest.fixture
async def watching(driver: Any, made: Any, make_part: Any) -> Any:
    await driver.apply(make_part(quality={"metric": "auc", "min": 0.6}))
    await driver.promote(made)
    return driver


async def test_late_labels_are_joined_by_the_datasets_keys(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    await watching.log(one)
    await watching.seen(600)
    assert (await watching.get("/quality")) == []
    await watching.commit(one, never=30)
    monitor = await labelled(watching, 570)
    assert monitor["unlabelled"] == 30
    [window] = await quality(watching, 570)
    assert (window["rows"], window["metric"], window["coverage"]) == (600, "auc", 0.95)
    assert 0.6 < window["low"] < window["value"] < window["high"] < 0.9
    [(_, event)] = await watching.h.relayed(LabelsReceived)
    assert (event.labels, event.joined, event.unlabelled) == (570, 600, 30)
    assert await watching.h.relayed(QualityDegraded) == []


async def test_keys_that_no_float_holds_find_their_own_labels(watching: Any, day: Any) -> None:
    """Ids from 2^53 on, and a null among them, differ by one: as floats every second would be its neighbour."""
    one = day(watching.package, 0)
    moment = one.start + timedelta(hours=1)
    for index, row in enumerate(one.rows):
        one.flights[index] = None if index == 0 else 2**53 + index
        row["event_time"] = int(moment.timestamp()) * 1_000_000
        row["inputs"] |= {"flight": one.flights[index], "departure": moment.isoformat()}
    await watching.log(one)
    await watching.seen(600)
    await watching.commit(one)
    await labelled(watching, 599)
    [window] = await quality(watching, 599)
    scores = np.array([row["outputs"]["prediction"] for row in one.rows[1:]])
    assert window["value"] == pytest.approx(roc_auc_score(one.late[1:], scores), abs=1e-12)


async def test_labels_before_their_predictions_wait_for_them(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    await watching.commit(one)

    async def received() -> Any:
        return watching.h.published(LabelsReceived)

    [(_, event)] = await watching.h.until(received)
    assert (event.labels, event.joined) == (600, 0)
    await watching.log(one)
    await labelled(watching, 600)
    [window] = await quality(watching, 600)
    assert window["value"] > 0.6


async def test_a_correction_counts_and_an_older_version_never_takes_it_back(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    await watching.log(one)
    await watching.seen(600)
    await watching.commit(one, flip=True)
    [wrong] = await quality(watching, 600)
    assert wrong["value"] < 0.4

    # A model that is wrong with confidence is told once.
    async def degraded() -> Any:
        return watching.h.published(QualityDegraded)

    [(_, event)] = await watching.h.until(degraded)
    assert event.bound == 0.6 and event.high < 0.6

    await watching.commit(one)

    async def corrected() -> Any:
        [window] = await watching.get("/quality")
        return window["value"] > 0.6

    await watching.h.until(corrected)
    watching.batches = -1
    await watching.commit(one, flip=True)

    async def third() -> Any:
        return len(watching.h.published(LabelsReceived)) == 3

    await watching.h.until(third)
    assert await corrected()
    assert len(await watching.h.relayed(QualityDegraded)) == 1


async def test_redelivered_and_repeated_events_do_nothing(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    logged = await watching.log(one)
    await watching.seen(600)
    envelope = logged.envelope(project="default", subject="capstan:default:loop/delay")
    await watching.h.deliver(envelope)
    await watching.h.deliver(envelope)
    committed = await watching.commit(one)
    await labelled(watching, 600)
    await watching.tell(committed)
    await watching.log(day(watching.package, 1))
    await watching.seen(1200)
    assert len(await watching.h.relayed(LabelsReceived)) == 1
    assert [window["rows"] for window in await watching.windows()] == [600, 600]


async def test_rows_after_the_verdict_are_counted_and_not_judged_again(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    await watching.log(one, rows=slice(0, 500), name="early")
    await watching.seen(500)
    await watching.advance(one.start + DAY)
    [before] = await watching.judged(1)
    await watching.log(one, rows=slice(500, 600), name="late")
    await watching.seen(600)
    [after] = await watching.windows()
    assert (after["rows"], after["state"], after["columns"]) == (600, before["state"], before["columns"])
    assert "100 row(s) came after the verdict" in after["message"]


async def test_a_verdict_waits_for_the_segments_that_are_there(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    for part in range(4):
        await watching.log(one, rows=slice(part * 150, part * 150 + 150), name=f"part-{part}")
    await watching.h.until(lambda: queued(watching, 4))
    await watching.advance(one.start + DAY)
    [window] = await watching.judged(1)
    assert (window["rows"], window["message"]) == (600, "")


async def queued(driver: Any, count: int) -> bool:
    async with driver.h.kit.database.read() as session:
        found = await session.scalar(select(func.count()).select_from(WorkRow).where(WorkRow.kind == "ingest"))
    return bool(found == count)


async def test_windows_lie_where_the_loop_says_in_whatever_order_the_log_arrives(
    driver: Any, made: Any, make_part: Any, day: Any
) -> None:
    begin = day("", 0).start
    await driver.apply(make_part(window="2d", windowOrigin=(begin + 5 * DAY).isoformat()))
    await driver.promote(made)
    for count, number in enumerate((2, 0, 1), start=1):
        await driver.log(day(driver.package, number))
        await driver.seen(600 * count)
    windows = [(one["start"], one["rows"]) for one in await driver.windows()]
    assert windows == [
        ((begin + days * DAY).isoformat().replace("+00:00", "Z"), rows) for days, rows in ((-1, 600), (1, 1200))
    ]


async def test_few_rows_get_no_verdict(watching: Any, day: Any) -> None:
    await watching.log(one := day(watching.package, 0, rows=50, shift=8.0))
    await watching.seen(50)
    await watching.advance(one.start + DAY)
    [window] = await watching.judged(1)
    assert window["state"] == "too-few-rows"
    assert window["message"] == "too few rows: 50, and 200 are needed for a verdict"


async def test_unknown_packages_are_counted_and_damage_is_kept_as_a_problem(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    await watching.log(one, package="f" * 64, name="unknown")
    torn = one.segment(watching.folder / "torn.seg")
    content = bytearray(torn.read_bytes())
    content[200] ^= 0xFF
    torn.write_bytes(content)
    await watching.log_file(torn)
    empty = watching.folder / "empty.seg"
    SegmentWriter(empty).close()
    await watching.log_file(empty)

    async def three() -> Any:
        async with watching.h.kit.database.read() as session:
            rows = list((await session.scalars(select(SegmentRow))).all())
        return rows if len(rows) == 3 else None

    rows = await watching.h.until(three)
    assert sorted((row.rows, row.unknown, bool(row.problem)) for row in rows) == [
        (0, 0, False),
        (0, 0, True),
        (600, 600, False),
    ]
    assert await watching.windows() == []


async def test_rows_of_odd_types_are_taken_as_they_can_be(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    odd = [
        {"delay": "late", "origin": 7, "flight": None},
        {"delay": True, "origin": 1.5, "flight": {"a": 1}},
        {"delay": 10**400, "origin": None, "flight": [1]},
        {},
    ]
    for row, inputs in zip(one.rows, odd, strict=False):
        row["inputs"] = inputs
    one.rows[5]["looked_up"], one.rows[6]["event_time"] = None, (1 << 63) - 1
    one.rows[7]["outputs"], one.rows[8]["event_time"] = {"prediction": None}, one.rows[8]["event_time"] + 10**15
    await watching.log(one)
    # One time is none at all, one prediction is none, one clock runs 30 years ahead and must not close the rest.
    await watching.seen(598)
    await watching.commit(one)
    await labelled(watching, 593)
    assert [(window["rows"], window["state"]) for window in await watching.windows()] == [(597, "open"), (1, "open")]


@pytest.mark.parametrize("kind", ["words", "numbers", "regression"])
async def test_outputs_of_other_tasks_are_taken_in_whole(watching: Any, day: Any, kind: str) -> None:
    """Classes with probabilities, and a number of any size: counted, kept, and no obstacle to anything else."""
    one = day(watching.package, 0)
    for index, row in enumerate(one.rows):
        classes = {"words": ["rose", "tulip"][index % 2], "numbers": index % 3}
        row["outputs"] = {"prediction": classes.get(kind, index * 1e6 - 5)}
        if kind != "regression":
            row["outputs"]["probabilities"] = [0.25, 0.75, math.inf]
    await watching.log(one)
    await watching.seen(600)
    [window] = await watching.windows()
    assert (window["rows"], window["message"]) == (600, "")
    async with watching.h.kit.database.read() as session:
        kept = await session.scalar(select(ScoredRow).where(ScoredRow.prediction_id == one.rows[4]["prediction_id"]))
    expected = {
        "words": (None, {"prediction": "rose", "probabilities": [0.25, 0.75, None]}),
        "numbers": (1.0, {"prediction": 1, "probabilities": [0.25, 0.75, None]}),
        "regression": (3_999_995.0, None),
    }
    assert (kept.prediction, kept.outputs) == expected[kind]
    await watching.commit(one)
    await labelled(watching, 600)


async def test_labels_by_hand_by_id_and_by_keys(watching: Any, day: Any) -> None:
    one = day(watching.package, 0)
    await watching.log(one, rows=slice(0, 300), name="half")
    await watching.seen(300)
    ids = [row["prediction_id"] for row in one.rows]
    by_id = [{"prediction_id": identity, "value": late} for identity, late in zip(ids, one.late, strict=True)]
    by_keys = [
        {"keys": {key: row["inputs"][key] for key in ("flight", "departure")}, "value": late}
        for row, late in zip(one.rows, one.late, strict=True)
    ]
    body = {"loop": "delay", "labels": [*by_id[:100], *by_id[400:500], *by_keys[100:200], *by_keys[500:600]]}
    headers = {"idempotency-key": "once"}
    first = await watching.h.operator.post("/v1/projects/default/labels", json=body, headers=headers)
    assert first.status_code == 200, first.text
    assert first.json() == {"received": 400, "joined": 200, "unknown": 200}
    again = await watching.h.operator.post("/v1/projects/default/labels", json=body, headers=headers)
    assert again.json() == first.json()
    assert len(await watching.h.relayed(LabelsReceived)) <= 1
    await watching.log(one, rows=slice(300, 600), name="other-half")
    await watching.seen(600)
    await labelled(watching, 400)
    [window] = await quality(watching, 400)
    assert window["labelled"] == 400 and window["value"] > 0.6


async def test_a_log_of_no_loop_is_set_aside(driver: Any, made: Any, day: Any) -> None:
    await driver.log(day("0" * 64, 0))

    async def letter() -> Any:
        async with driver.h.kit.database.read() as session:
            return await session.scalar(select(DeadLetterRow.reason))

    assert "no monitor of a loop delay" in await driver.h.until(letter)


async def test_a_report_that_cannot_be_made_changes_no_verdict(watching: Any, day: Any) -> None:
    training_set = await watching.h.kit.objects.local_path("default", watching.training_set)
    training_set.unlink()
    await watching.log(one := day(watching.package, 0))
    await watching.seen(600)
    await watching.advance(one.start + DAY)
    [window] = await watching.judged(1)
    assert window["state"] == "quiet"

    async def told() -> Any:
        return (await watching.windows())[0]["message"]

    assert "the report could not be made" in await watching.h.until(told)
    path = f"/v1/projects/default/monitors/delay/windows/{window['start']}/report"
    response = await watching.h.viewer.get(path)
    assert response.status_code == 404
    assert "could not be made" in response.json()["detail"]


async def test_a_whole_month_is_joined_without_holding_others_up(watching: Any, day: Any) -> None:
    month = day(watching.package, 0, rows=30_000)
    await watching.log(month)

    async def there() -> bool:
        return bool((await watching.monitor())["predictions"] == 30_000)

    await watching.h.until(there, timeout=50)
    await watching.commit(month)
    clock = watching.h.kit.clock
    began = clock.now()
    waits = []

    async def joined() -> bool:
        # What another transaction waits while the labels are written.
        asked = clock.now()
        async with watching.h.kit.database.write() as session:
            await session.execute(select(func.count()).select_from(WorkRow))
        waits.append((clock.now() - asked).total_seconds())
        return bool((await watching.monitor())["labelled"] == 30_000)

    await watching.h.until(joined, timeout=50)
    took = (clock.now() - began).total_seconds()
    print(f"absorbed and joined 30,000 in {took:.2f} s, longest wait {max(waits):.2f} s")
    assert max(waits) < 5


async def test_what_was_half_done_when_the_process_died_is_done_once(watching: Any, day: Any) -> None:
    """The guarded transaction holds everything: run the same work again, and nothing is counted twice."""
    one = day(watching.package, 0)
    await watching.log(one)
    await watching.seen(600)
    async with watching.h.kit.database.write() as session:
        item = await session.scalar(select(WorkRow).where(WorkRow.kind == "ingest"))
        assert item is not None
        item.state, item.finished_at = "queued", None

    async def done() -> Any:
        async with watching.h.kit.database.read() as session:
            return await session.scalar(select(WorkRow.state).where(WorkRow.kind == "ingest")) == "succeeded"

    await watching.h.until(done)
    async with watching.h.kit.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ScoredRow)) == 600
        assert await session.scalar(select(func.sum(PartialRow.rows))) == 600
    assert (
        json.loads((await watching.h.viewer.get("/v1/projects/default/monitors/delay/windows")).text)["items"][0][
            "rows"
        ]
        == 600
    )
