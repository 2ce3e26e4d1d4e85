"""Predictions, labels and packages come in any order, and the outcome is the same."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from capstan_contracts.ids import uuid7
from capstan_formats.id_range import IdRange, id_number
from capstan_formats.segments import SegmentWriter
from capstan_formats.sketches import BaselineColumn, NumericSketch, Role
from capstan_monitoring.actions.write_rows import insert_scored, next_statement, write_labels
from capstan_monitoring.domain.join import key_of, prediction_key
from capstan_monitoring.tables import ScoredRow, SegmentRow
from capstan_testkit.log_records import log_record
from capstan_testkit.packages import build_package

pytestmark = pytest.mark.integration


EVENTS = ("prediction", "by id", "by keys", "of a version")


@pytest.mark.both_databases
@pytest.mark.parametrize("first", EVENTS)
async def test_the_later_statement_counts_in_whatever_order_it_and_the_prediction_come(
    driver: Any, make_part: Any, first: str
) -> None:
    """A prediction, a label by its id, one by its keys and one of a dataset version, in all orders.

    An older version that comes again after the newer one changes nothing.
    """
    await driver.apply(make_part())
    said = {"by id": 1.0, "by keys": 0.0, "of a version": 1.0, "of an older version": 0.0}
    orders: list[tuple[str, ...]] = [order for order in permutations(EVENTS) if order[0] == first]
    orders += [(*order, "of an older version") for order in orders if order[-1] == "of a version"]
    wrong = []
    for number, order in enumerate(orders):
        keys = {"flight": number, "departure": "2013-03-01T06:00:00Z"}
        identity, key = uuid7(), key_of(keys, ["flight", "departure"], ["departure"]) or ""
        for event in order:
            async with driver.h.kit.database.write() as session:
                if event == "prediction":
                    row = {
                        "project": "default", "prediction_id": identity, "loop": "delay", "version": 1, "join_key": key,
                        "window_start": datetime(2013, 3, 1, tzinfo=UTC), "prediction": 0.5, "outputs": None,
                        "by_id": prediction_key(identity),
                    }  # fmt: skip
                    await insert_scored(session, "default", "delay", [row])
                elif event.endswith("version"):
                    rank, statement = len(event.split()), await next_statement(session, "default", "delay")
                    labels: list[tuple[str, float | None]] = [(key, said[event])]
                    await write_labels(session, "default", "delay", labels, 10 - rank, statement)
            if event in ("by id", "by keys"):
                label = {"prediction_id": identity} if event == "by id" else {"keys": keys}
                body = {"loop": "delay", "labels": [{**label, "value": said[event]}]}
                answer = await driver.h.operator.post("/v1/projects/default/labels", json=body)
                assert answer.status_code == 200, answer.text
        async with driver.h.kit.database.read() as session:
            [found] = await session.scalars(select(ScoredRow.label).where(ScoredRow.prediction_id == identity))
        last = [event for event in order if event not in ("prediction", "of an older version")][-1]
        if found != said[last]:
            wrong.append((order, found))
    assert wrong == []


async def test_predictions_of_a_package_that_is_not_known_yet_wait_and_are_taken_in(
    driver: Any, day: Any, made: Any, make_part: Any
) -> None:
    await driver.apply(make_part(quality={"metric": "auc", "min": 0.6}))
    package = await driver.h.kit.objects.put_file("default", made.package)
    one = day(package, 0)
    await driver.log(one, rows=slice(0, 400), name="before")
    await driver.commit(one)

    assert (await _waiting(driver, 400))["predictions"] == 0 and await driver.windows() == []
    await driver.promote(made)
    await driver.seen(400)
    assert (await _waiting(driver, 0))["labelled"] == 400
    await driver.log(one, rows=slice(400, 600), name="after")
    await driver.seen(600)
    assert [window["rows"] for window in await driver.windows()] == [600]
    async with driver.h.kit.database.read() as session:
        rows = list((await session.scalars(select(SegmentRow))).all())
    assert sorted((row.rows, row.unknown) for row in rows) == [(200, 0), (400, 0)]

    async def measured() -> Any:
        return [one["labelled"] for one in await driver.get("/quality")] == [600]

    await driver.h.until(measured)


async def _segments(driver: Any) -> list[SegmentRow]:
    async with driver.h.kit.database.read() as session:
        return list((await session.scalars(select(SegmentRow))).all())


async def test_a_package_that_becomes_known_and_cannot_be_read_is_a_problem_of_the_segments_that_waited_for_it(
    driver: Any, day: Any, make_part: Any, tmp_path: Path
) -> None:
    await driver.apply(make_part())
    (tmp_path / "none.tar").write_bytes(b"no package")
    none = SimpleNamespace(package=tmp_path / "none.tar", training_set=tmp_path / "none.tar")
    await driver.log(day(await driver.h.kit.objects.put_file("default", none.package), 0, rows=100))
    await _waiting(driver, 100)
    await driver.promote(none)
    await _waiting(driver, 0)
    [segment] = await _segments(driver)
    assert segment.problem.startswith("the package cannot be read") and (segment.rows, segment.unknown) == (100, 100)


async def test_rows_of_a_second_package_that_says_to_be_the_same_version_are_in_no_window(
    driver: Any, day: Any, made: Any, make_part: Any, tmp_path: Path
) -> None:
    """Both packages become known after the segment: sketches, predictions and counts are those of the first."""
    await driver.apply(make_part())
    columns = {"prediction": BaselineColumn(Role.PREDICTION, NumericSketch.build([n / 100 for n in range(100)]))}
    built = build_package(tmp_path / "other", baseline=columns)
    first = await driver.h.kit.objects.put_file("default", made.package)
    second = await driver.h.kit.objects.put_file("default", built.path)
    one = day(first, 0, rows=150)
    path = tmp_path / "both.seg"
    with SegmentWriter(path) as writer:
        for package, rows in ((first, one.rows[:100]), (second, one.rows[100:])):
            ids = IdRange(id_number(rows[0]["prediction_id"]), len(rows))
            writer.append(log_record(rows, ids=ids, package=package, model="delay", deployment="delay", version=1))
        writer.close()
    await driver.log_file(path)
    await _waiting(driver, 150)
    await driver.promote(made)
    await _waiting(driver, 50)
    await driver.promote(SimpleNamespace(package=built.path, training_set=made.training_set), ledger=2)
    await _waiting(driver, 0)
    assert (await driver.monitor())["predictions"] == 100
    assert [window["rows"] for window in await driver.windows()] == [100]
    assert [(row.rows, row.unknown) for row in await _segments(driver)] == [(150, 50)]


async def _waiting(driver: Any, count: int) -> Any:
    async def there() -> Any:
        found = await driver.monitor()
        return found if found["waiting"] == count else None

    return await driver.h.until(there)
