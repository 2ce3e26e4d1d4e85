"""Columns that are looked up are judged by how many rows of the view were read, not by how many rows asked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capstan_contracts.loop import DriftSpec
from capstan_formats.segments import SegmentWriter
from capstan_formats.sketches import ClusterSketch
from capstan_monitoring.domain.drift import ColumnStatistic, judge_columns, verdict
from capstan_monitoring.domain.jobs import MeasuredColumn, MeasuredDrift
from capstan_monitoring.jobs import baselines, ingest, judge
from capstan_monitoring.jobs.baselines import watched_of
from capstan_packages.contents import Package
from capstan_packages.header import Header
from capstan_packages.reader import read_package
from capstan_servicekit.jobs.api import Job
from capstan_testkit.log_records import log_record

START = datetime(2013, 5, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
DIGEST = "ab" * 32
Row = dict[str, Any]
Judged = Callable[..., MeasuredDrift]


def us(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def asked(random: np.random.Generator, entities: int, per_entity: int, shift: float = 0.0) -> list[Row]:
    """Rows in which every entity is asked for so many times and has one temperature, drawn as in the training set."""
    rows: list[Row] = []
    for entity, share in enumerate(random.random(entities).tolist()):
        read = us(START - timedelta(hours=entity))
        temp = None if share < 0.05 else share * 40 + shift
        for _ in range(per_entity):
            delay = float(random.exponential(10))
            rows.append({
                "event_time": us(START) + len(rows), "inputs": {"delay": delay, "origin": "JFK"},
                "looked_up": {"weather__temp": temp}, "feature_times": {"weather": read},
                "lookup_keys": {"weather": {"origin": f"A{entity}"}}, "outputs": {"prediction": 0.3},
            })  # fmt: skip
    return rows


@pytest.fixture
def judged(made: Any, tmp_path: Path) -> Judged:
    """What the judging job says of segments, one per list of rows, that the ingesting job has taken in."""

    numbers = itertools.count()

    def judge_window(*segments: Sequence[Row]) -> MeasuredDrift:
        lines = []
        for rows in segments:
            segment = tmp_path / f"{next(numbers)}.seg"
            with SegmentWriter(segment) as writer:
                for first in range(0, len(rows), 64):
                    writer.append(log_record(rows[first : first + 64], package=DIGEST))
                writer.close()
            given = {
                "segment": str(segment), "packages": {DIGEST: str(made.package)}, "origin_us": us(START),
                "length_us": DAY_US, "keys": [], "time_keys": [],
            }  # fmt: skip
            (partial,) = ingest.run(Job(given, tmp_path)).partials
            lines.append(json.dumps(partial["sketches"]) + "\n")
        (tmp_path / "partials.jsonl").write_text("".join(lines))
        drift = DriftSpec().model_dump(mode="json", by_alias=True)
        return judge.run(
            Job({"package": str(made.package), "partials": str(tmp_path / "partials.jsonl"), "drift": drift}, tmp_path)
        )

    return judge_window


def of(measured: MeasuredDrift, column: str) -> MeasuredColumn:
    return next(figure for figure in measured.statistics if figure["column"] == column)


def test_the_package_says_which_columns_are_looked_up_in_which_view(made: Any) -> None:
    baseline, views = watched_of(str(made.package))
    assert views == {"weather__temp": "weather"} and "delay" in baseline


def test_a_package_is_read_once(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline and lookups come of one reading, which hashes the whole file."""
    read: list[Path] = []

    def reading(path: Path) -> Package[Header]:
        read.append(path)
        return read_package(path)

    monkeypatch.setattr(baselines, "read_package", reading)
    baselines.watched_of.cache_clear()
    for _ in range(2):
        baselines.watched_of(str(made.package))
    assert read == [made.package]


def test_rows_of_two_windows_in_one_record_are_counted_in_their_own(made: Any, tmp_path: Path) -> None:
    rows = asked(np.random.default_rng(3), entities=6, per_entity=10)
    for number, row in enumerate(rows):
        row["event_time"] += DAY_US * (number >= 40)
    with SegmentWriter(tmp_path / "two.seg") as writer:
        writer.append(log_record(rows, package=DIGEST))
        writer.close()
    given = {
        "segment": str(tmp_path / "two.seg"), "packages": {DIGEST: str(made.package)}, "origin_us": us(START),
        "length_us": DAY_US, "keys": [], "time_keys": [],
    }  # fmt: skip
    sizes = [
        sorted(ClusterSketch.from_json(partial["sketches"]["clusters"]["weather"]).sizes.values())  # type: ignore[index]
        for partial in ingest.run(Job(given, tmp_path)).partials
    ]
    assert sizes == [[10] * 4, [10] * 2]


def test_few_entities_behind_many_rows_are_not_judged_and_named(judged: Judged) -> None:
    rows = asked(np.random.default_rng(3), entities=20, per_entity=30)
    measured = judged(rows)
    assert measured.shared == {"weather__temp": 20} and measured.least > 20
    assert "weather__temp" not in {figure["column"] for figure in measured.statistics}
    assert of(measured, "delay")["statistic"] == "psi"


def test_the_p_value_is_that_of_the_entities_and_the_effect_that_of_the_rows(judged: Judged) -> None:
    rows = asked(np.random.default_rng(5), entities=200, per_entity=30, shift=6)
    shared = of(judged(rows), "weather__temp")
    independent = of(judged([row | {"lookup_keys": {}} for row in rows]), "weather__temp")
    assert shared["effect"] == independent["effect"]
    # 200 rows of the view against 4,000 rows that are worth 133: told, and not beyond all doubt as 6,000 rows would.
    assert independent["p_value"] < 1e-100 < 1e-12 < shared["p_value"] < 1e-3


def test_entities_are_the_same_in_every_segment(judged: Judged) -> None:
    rows = asked(np.random.default_rng(3), entities=100, per_entity=30)
    whole = judged(rows)
    assert judged(rows[::2], rows[1::2]) == whole
    assert whole.shared == {}


def test_a_log_that_does_not_say_by_which_keys_it_asked_is_judged_by_its_rows(judged: Judged) -> None:
    rows = [{k: v for k, v in row.items() if k != "lookup_keys"} for row in asked(np.random.default_rng(3), 20, 30)]
    measured = judged(rows)
    assert measured.shared == {} and of(measured, "weather__temp")["p_value"] < 1e-3


def test_windows_of_few_entities_raise_no_false_alarm(judged: Judged) -> None:
    """By rows, 40 of 40 such windows were alarms."""
    random, told = np.random.default_rng(7), 0
    for _ in range(6):
        measured = judged(asked(random, entities=100, per_entity=30))
        figures = judge_columns(
            [ColumnStatistic(**figure) for figure in measured.statistics if figure["column"] == "weather__temp"],
            DriftSpec(),
        )
        told += verdict(figures, 3_000, [], DriftSpec())[0] == "drifted"
    assert told == 0
