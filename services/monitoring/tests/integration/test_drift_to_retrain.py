"""Predictions in, verdicts out, a retrain with complete labels: real jobs, memory bus."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.events import (
    DriftCleared,
    DriftDetected,
    GateFigure,
    GatesDecided,
    RetrainRequested,
    RetrainWithheld,
    RunFinished,
    RunStarted,
)
from capstan_contracts.ids import uuid7
from capstan_contracts.work import State
from capstan_formats.sketches import BaselineColumn, NumericSketch, Role
from capstan_testkit.packages import build_package

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


async def test_quiet_days_raise_no_alarm_and_have_a_report(driver: Any, made: Any, make_part: Any, day: Any) -> None:
    await driver.apply(make_part())
    await driver.promote(made)
    for number in range(3):
        await driver.log(day(driver.package, number))
    await driver.seen(1800)
    await driver.advance((start := day(driver.package, 0).start) + 3 * DAY)
    windows = await driver.judged(3)
    assert [one["state"] for one in windows] == ["quiet"] * 3
    assert [one["rows"] for one in windows] == [600] * 3
    assert {one["column"] for one in windows[0]["columns"]} == {"delay", "origin", "weather__temp", "prediction"}
    assert windows[0]["start"] == start.isoformat().replace("+00:00", "Z")
    assert await driver.h.relayed(DriftDetected) == []
    assert (await driver.monitor())["alarm"] is False

    async def reported() -> Any:
        return (await driver.windows())[0]["report"]

    path = await driver.h.until(reported, timeout=50)
    page = await driver.h.viewer.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in page.headers["content-security-policy"]
    assert page.text.lstrip().lower().startswith("<") and "weather__temp" in page.text and "plotly" in page.text.lower()
    by_start = await driver.h.viewer.get(path.partition("?")[0])
    assert by_start.content == page.content
    assert "Dataset Drift is NOT detected" in page.text


async def test_the_report_says_what_the_verdict_says(driver: Any, made: Any, make_part: Any, day: Any) -> None:
    await driver.apply(make_part(drift={"minRows": 200, "seasonal": ["weather__temp"]}))
    await driver.promote(made)
    shifted = day(driver.package, 0, shift=8.0)
    for row in shifted.rows:
        row["inputs"]["origin"] = "EWR"  # a constant column
    for row in shifted.rows[:560]:
        row["looked_up"]["weather__temp"] = None
    await driver.log(shifted)
    await driver.seen(600)
    await driver.advance(shifted.start + DAY)
    await driver.judged(1)

    async def reported() -> Any:
        return (await driver.windows())[0]["report"]

    page = await driver.h.viewer.get(await driver.h.until(reported, timeout=50))
    assert "Dataset Drift is detected" in page.text
    assert "weather__temp" in page.text


async def test_odd_columns_are_shown_with_the_reason_and_cost_nobody_the_report(
    driver: Any, make_part: Any, day: Any, tmp_path: Path
) -> None:
    usual = np.random.default_rng(1).normal(size=600).tolist()
    odd: dict[str, list[Any]] = {
        "usual": usual, "constant": [1e16] * 600, "identity": [2**60 + number for number in range(600)],
        "huge": [1e308, -1e308] * 300, "single": [None] * 599 + [1.0], "empty": [None] * 600, "tiny": [1e-310] * 600,
    }  # fmt: skip
    trained = {**odd, "infinite": [math.inf, 1.0] * 300, "prediction": [0.25] * 600}
    baseline = {
        name: BaselineColumn(Role.PREDICTION if name == "prediction" else Role.FEATURE, NumericSketch.build(values))
        for name, values in trained.items()
    }
    built = build_package(tmp_path / "odd", [{"op": "numeric", "column": "usual"}], baseline=baseline)
    numbers = {name: pa.array(values, pa.float64()) for name, values in trained.items() if name != "identity"}
    table = pa.table({**numbers, "identity": pa.array(odd["identity"], pa.int64()), "label": [0] * 600})
    pq.write_table(table, tmp_path / "odd.parquet")
    await driver.apply(make_part())
    await driver.promote(SimpleNamespace(package=built.path, training_set=tmp_path / "odd.parquet"))
    one = day(driver.package, 0)
    for number, row in enumerate(one.rows):
        row["inputs"] = {name: values[number] for name, values in odd.items()} | {"infinite": usual[number]}
        row["looked_up"] = {}
    await driver.log(one)
    await driver.seen(600)
    await driver.advance(one.start + DAY)
    await driver.judged(1)

    async def reported() -> Any:
        return (await driver.windows())[0] if (await driver.windows())[0]["report"] else None

    window = await driver.h.until(reported, timeout=50)
    page = (await driver.h.viewer.get(window["report"])).text
    for name in ("constant", "identity", "huge", "empty", "infinite"):
        assert f"<td>{name}</td>" in page and f"{name} (" in window["message"], window["message"]
    assert "300 of its values are infinite in the training set" in page
    assert "Dataset Drift" in page and "<td>usual</td>" not in page and "<td>single</td>" not in page


async def test_shifted_data_waits_for_labels_and_then_asks_for_a_retrain(
    driver: Any, made: Any, make_part: Any, day: Any
) -> None:
    await driver.apply(make_part())
    await driver.promote(made)
    quiet, shifted = day(driver.package, 0), day(driver.package, 1, shift=8.0)
    first = await driver.commit(quiet)
    await driver.log(quiet)
    await driver.log(shifted)
    await driver.seen(1200)
    await driver.advance(shifted.start + DAY)
    windows = await driver.judged(2)
    assert [one["state"] for one in windows] == ["quiet", "drifted"]
    assert {one["column"] for one in windows[1]["columns"] if one["drifted"]} == {"delay", "prediction"}

    async def detected() -> Any:
        return driver.h.published(DriftDetected)

    [(_, event)] = await driver.h.until(detected)
    assert {one.column for one in event.columns} == {"delay", "prediction"}
    assert event.report.endswith(f"/monitors/delay/windows/{windows[1]['start']}/report")
    assert (await driver.monitor())["alarm"] is True
    [retrain] = (await driver.get("/retrains"))["items"]
    # Day 0's version reaches 23:00 of day 0, an hour short of what the window of day 1 needs.
    assert retrain["state"] == "waiting"
    assert await driver.h.relayed(RetrainRequested) == []

    second = await driver.commit(shifted, parent=first.version)

    async def requested() -> Any:
        return driver.h.published(RetrainRequested)

    [(_, request)] = await driver.h.until(requested)
    assert (request.dataset, request.dataset_version, request.loop) == ("flights", second.version, "delay")
    assert request.request == retrain["id"]
    assert set(request.evidence["effects"]) == {"delay", "prediction"}

    run, package = uuid7(), driver.package
    common = {"run": run, "loop": "delay", "dataset": "flights", "dataset_version": second.version, "code": "2" * 64}
    await driver.tell(RunStarted(**common, reason="drift"))
    await driver.tell(RunFinished(**common, reason="drift", state=State.SUCCEEDED, package=package))
    await driver.tell(GatesDecided(model="delay", version=2, approved=True, gates=[], run=run))

    async def promoted() -> Any:
        [row] = (await driver.get("/retrains"))["items"]
        return row["state"] == "promoted" and row["run"] == run

    await driver.h.until(promoted)
    await driver.champion(2, 2)
    assert (await driver.monitor())["alarm"] is False
    [(_, cleared)] = await driver.h.relayed(DriftCleared)
    assert cleared.window_start == shifted.start


async def test_a_refused_retrain_says_why_also_where_a_gate_could_not_tell(
    driver: Any, made: Any, make_part: Any, day: Any
) -> None:
    await driver.apply(make_part())
    await driver.promote(made)
    drifted = day(driver.package, 0, shift=8.0)
    committed = await driver.commit(drifted)
    await driver.log(drifted)
    await driver.seen(600)
    await driver.advance(drifted.start + DAY)
    await driver.judged(1)

    async def requested() -> Any:
        return driver.h.published(RetrainRequested)

    await driver.h.until(requested)
    run = uuid7()
    await driver.tell(
        RunStarted(
            run=run, loop="delay", dataset="flights", dataset_version=committed.version, code="2" * 64, reason="drift"
        )
    )
    few = GateFigure(gate="champion", passed=None, not_judged="refuses", sentence="Too few rows to tell.")
    aside = GateFigure(gate="slice", passed=None, sentence="Not judged.")
    await driver.tell(GatesDecided(model="delay", version=2, approved=False, gates=[few, aside], run=run))

    async def refused() -> Any:
        [row] = (await driver.get("/retrains"))["items"]
        return row if row["state"] == "refused" else None

    assert (await driver.h.until(refused))["why"] == "Too few rows to tell."


@pytest.mark.both_databases
async def test_labels_that_are_complete_already_are_asked_for_at_once_and_the_guard_holds_the_next(
    driver: Any, made: Any, make_part: Any, day: Any
) -> None:
    await driver.apply(make_part())
    await driver.promote(made)
    days = [day(driver.package, number, shift=8.0) for number in range(2)]
    committed = await driver.commit(days[1])
    for one in days:
        await driver.log(one)
    await driver.seen(1200)
    await driver.advance(days[1].start + DAY)
    assert [one["state"] for one in await driver.judged(2)] == ["drifted", "drifted"]

    async def withheld() -> Any:
        return driver.h.published(RetrainWithheld)

    [(_, no)] = await driver.h.until(withheld)
    [(_, yes)] = await driver.h.relayed(RetrainRequested)
    assert yes.dataset_version == committed.version
    assert no.why == "another retrain of this loop is under way"
    newest, oldest = (await driver.get("/retrains"))["items"]
    assert (newest["state"], oldest["state"]) == ("withheld", "requested")

    await driver.tell(
        RunFinished(
            run=uuid7(), loop="delay", state=State.FAILED, reason="drift", dataset="flights",
            dataset_version=committed.version, code="2" * 64, error="no memory",
        )
    )  # fmt: skip

    async def failed() -> Any:
        return (await driver.get("/retrains"))["items"][1]["why"] == "no memory"

    await driver.h.until(failed)


async def test_seasonal_columns_are_never_alarmed(driver: Any, made: Any, make_part: Any, day: Any) -> None:
    drift = {"minRows": 200, "seasonal": ["delay"], "ignore": ["prediction"]}
    await driver.apply(make_part(drift=drift))
    await driver.promote(made)
    await driver.log(shifted := day(driver.package, 0, shift=8.0))
    await driver.seen(600)
    await driver.advance(shifted.start + DAY)
    [window] = await driver.judged(1)
    assert window["state"] == "quiet"
    delay = next(one for one in window["columns"] if one["column"] == "delay")
    assert delay["seasonal"] and not delay["drifted"] and delay["effect"] > 0.5
    assert "prediction" not in {one["column"] for one in window["columns"]}


async def test_an_alarm_ends_with_a_quiet_window_and_windows_close_by_the_newest_prediction(
    driver: Any, made: Any, make_part: Any, day: Any
) -> None:
    await driver.apply(make_part())
    await driver.promote(made)
    for number, shift in enumerate([8.0, 0.0, 0.0]):
        await driver.log(day(driver.package, number, shift=shift))
    # Nobody declares a watermark: day 2's predictions close days 0 and 1.
    windows = await driver.judged(2)
    assert [one["state"] for one in windows] == ["drifted", "quiet", "open"]

    async def cleared() -> Any:
        return driver.h.published(DriftCleared)

    [(_, event)] = await driver.h.until(cleared)
    assert event.window_start == day(driver.package, 1).start
    assert (await driver.monitor())["alarm"] is False


async def test_an_alarm_of_a_looked_up_column_is_not_ended_by_a_window_that_cannot_judge_it(
    driver: Any, made: Any, make_part: Any, day: Any
) -> None:
    """Day 0 moves the temperature of 600 entities; day 1 asks for 20 entities, day 2 for 600: as in the training."""
    await driver.apply(make_part())
    await driver.promote(made)
    for number, (entities, shift) in enumerate([(600, 30.0), (20, 0.0), (600, 0.0)]):
        one = day(driver.package, number)
        for place, row in enumerate(one.rows):
            share = one.rows[place % entities]["looked_up"]["weather__temp"]
            row["temp"] = None if share is None else share + shift
            row["lookup_keys"] = {"weather": {"origin": f"A{place % entities}"}}
            row["feature_times"] = {"weather": 0}
        for row in one.rows:
            row["looked_up"] = {"weather__temp": row.pop("temp")}
        await driver.log(one)
    await driver.seen(1800)
    await driver.advance(one.start)
    windows = await driver.judged(2)
    assert [window["state"] for window in windows[:2]] == ["drifted", "quiet"]
    assert {figure["column"] for figure in windows[0]["columns"] if figure["drifted"]} == {"weather__temp"}
    assert "the alarm stays: of its columns these were not judged: weather__temp" in windows[1]["message"]
    assert (await driver.monitor())["alarm"] is True and await driver.h.relayed(DriftCleared) == []
    await driver.advance(one.start + DAY)
    assert (await driver.judged(3))[2]["state"] == "quiet"

    async def cleared() -> Any:
        return driver.h.published(DriftCleared)

    [(_, event)] = await driver.h.until(cleared)
    assert event.window_start == one.start and (await driver.monitor())["alarm"] is False
