"""Online equals offline at every moment that is kept, after every kind of correction of the data.

The oracle is the join itself: one label per entity and moment, over the same version of the dataset.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_feature_store.domain.jobs import WrittenView
from capstan_feature_store.jobs import materialize, training_set
from capstan_formats.online import Lookup, OnlineReader, look_up
from capstan_servicekit.jobs.api import Job

START = datetime(2013, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=10)
INSTANT = pa.timestamp("us", "UTC")
ROWS = pa.schema([("a", pa.string()), ("e", INSTANT), ("c", INSTANT), ("x", pa.float64()), ("batch", pa.int64())])
KEYS, MOMENTS, NOW = ("JFK", "LGA", "never"), range(-1, 22), 10
Row = dict[str, Any]
Correct = Callable[[random.Random, list[Row]], list[Row]]


def at(step: int) -> datetime:
    """Instants on a coarse grid, so that ties and exact ttl boundaries are the rule."""
    return START + step * STEP


def us(step: int) -> int:
    return (at(step) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass
class Platform:
    """A view and both of its sides; each `commit` is a version of the dataset."""

    folder: Path
    ttl_s: int | None = None
    older_rows: int = 3
    created: bool = True
    versions: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    @property
    def view(self) -> dict[str, Any]:
        return {
            "name": "v", "version": "0" * 64, "dataset": "rows", "sql": "SELECT * FROM rows", "keys": [["a", "string"]],
            "columns": [["x", "float64"]], "event_time": "e", "created_time": "c" if self.created else None,
            "ttl_us": None if self.ttl_s is None else self.ttl_s * 1_000_000,
        }  # fmt: skip

    def commit(self, rows: list[Row], *, now: int = NOW, sequence: int | None = None) -> WrittenView:
        self.sequence = next(self.versions) if sequence is None else sequence
        self.rows = self.folder / f"rows-{self.sequence}"
        pq.write_table(pa.Table.from_pylist(rows, ROWS), self.rows)
        given = {
            "view": self.view, "files": [str(self.rows)], "sequence": self.sequence, "now_us": us(now),
            "older_rows": self.older_rows, "folder": str(self.folder / "online"), "memory_mb": 128, "threads": 1,
        }  # fmt: skip
        return materialize.run(Job(given, self._scratch("view")))

    def online(self, key: str, moment: int) -> Lookup:
        with OnlineReader(self.folder / "online", "v") as reader:
            return look_up(reader.get([(key,)])[0], us(moment), self.ttl_s)

    def offline(self) -> dict[tuple[str, int], float | None]:
        """The value of every key at every moment."""
        asked = [(key, moment) for key in KEYS for moment in MOMENTS]
        labels = self.folder / "labels"
        columns = {"a": [key for key, _ in asked], "at": pa.array([at(moment) for _, moment in asked], INSTANT)}
        pq.write_table(pa.table({**columns, "y": [1.0] * len(asked)}), labels)
        service = {"label_time": "at", "request": [["a", "string"], ["at", "timestamp"]], "derived": []}
        given = {
            "datasets": {"labels": [str(labels)], "rows": [str(self.rows)]}, "dataset": "labels",
            "files": [["p", "a" * 64]], "label": "y", "service": {**service, "lookups": {"v": {"a": "a"}}},
            "views": [self.view], "as_known": True, "memory_mb": 128, "threads": 1,
        }  # fmt: skip
        joined = training_set.run(Job(given, self._scratch("set")))
        values = [row["v__x"] for row in pq.read_table(joined.path).to_pylist()]
        return dict(zip(asked, values, strict=True))

    def _scratch(self, name: str) -> Path:
        folder = self.folder / f"{name}-{self.sequence}"
        folder.mkdir()
        return folder

    def check(self) -> int:
        """Both sides agree at every moment; how many moments online no longer knows."""
        unknown = 0
        with OnlineReader(self.folder / "online", "v") as reader:
            entities = dict(zip(KEYS, reader.get([(key,) for key in KEYS]), strict=True))
        for (key, moment), offline in self.offline().items():
            online = look_up(entities[key], us(moment), self.ttl_s)
            if online.status.value == "unknown":
                unknown += 1
                assert moment < NOW, f"{key} at {moment}: unknown, although it is not before now"
            else:
                found = None if online.values is None else online.values["x"]
                assert found == offline, f"{key} at {moment}: online {online}, offline {offline}"
        return unknown


def fresh(source: random.Random, *, ahead: bool = False) -> Row:
    """A row, with an event time before now unless `ahead`; it may have been created before, at or after its event."""
    event = source.randint(NOW + 1, 20) if ahead else source.randint(0, NOW)
    created = None if source.random() < 0.1 else at(source.randint(0, 20))
    return {
        "a": source.choice(KEYS[:2]), "e": at(event), "c": created, "x": source.choice([None, *map(float, range(50))]),
        "batch": source.randint(0, 3),
    }  # fmt: skip


def one(source: random.Random, rows: list[Row], **change: Any) -> list[Row]:
    place = source.randrange(len(rows))
    return [{**row, **change} if number == place else row for number, row in enumerate(rows)]


def without_a_batch(source: random.Random, rows: list[Row]) -> list[Row]:
    batch = source.choice(rows)["batch"]
    return [row for row in rows if row["batch"] != batch]


CORRECTIONS: dict[str, Correct] = {
    "appended": lambda source, rows: [*rows, fresh(source)],
    "value corrected": lambda source, rows: one(source, rows, x=source.random()),
    "moved to an earlier time": lambda source, rows: one(source, rows, e=at(0), c=at(0)),
    "moved to a later time": lambda source, rows: one(source, rows, e=at(NOW)),
    "moved ahead of now": lambda source, rows: one(source, rows, e=at(NOW + 5)),
    "row withdrawn": lambda source, rows: rows[: (place := source.randrange(len(rows)))] + rows[place + 1 :],
    "batch withdrawn": without_a_batch,
    "entity withdrawn": lambda source, rows: [row for row in rows if row["a"] != "JFK"],
    "row ahead of its time": lambda source, rows: [*rows, fresh(source, ahead=True)],
    "given twice": lambda source, rows: [*rows, *rows[:2]],
    "other creation time": lambda source, rows: one(source, rows, c=at(source.randint(0, 20))),
}


@pytest.mark.parametrize("kind", CORRECTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_after_every_kind_of_correction(tmp_path: Path, kind: str, seed: int) -> None:
    source = random.Random(f"{kind} {seed}")
    ttl_s, older = source.choice([None, 10, 30, 70]), source.choice([0, 1, 3])
    platform = Platform(tmp_path, ttl_s, older, created=source.random() < 0.7)
    rows = [fresh(source, ahead=source.random() < 0.3) for _ in range(source.randint(3, 25))]
    platform.commit(rows)
    platform.check()
    platform.commit(CORRECTIONS[kind](source, rows))
    platform.check()


def row(event: int, x: float, created: int | None = None, a: str = "JFK") -> Row:
    return {"a": a, "e": at(event), "c": at(event if created is None else created), "x": x, "batch": 0}


def values(platform: Platform, *moments: int, key: str = "JFK") -> list[Any]:
    return [(found := platform.online(key, moment)).values and found.values["x"] for moment in moments]


def test_a_price_list_takes_effect_at_its_hours_without_a_commit(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    written = platform.commit([row(5, 1.0), row(12, 2.0, created=6), row(15, 3.0, created=6)])
    assert values(platform, 10, 11, 12, 14, 15, 20) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert (written.watermark, written.event_max) == (us(5), us(15))
    assert platform.check() == 0


def test_a_row_of_a_wrong_far_future_hides_nothing_and_goes_with_its_correction(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    for rows, value in (
        ([row(5, 1.0)], 1.0), ([row(5, 1.0), row(20, 9.0, created=5)], 1.0), ([row(5, 1.0)], 1.0),
        ([row(5, 1.0), row(6, 2.0)], 2.0),
    ):  # fmt: skip
        platform.commit(rows)
        assert values(platform, NOW) == [value]
        platform.check()
    assert values(platform, 21) == [2.0]


def test_older_rows_answer_for_their_time_as_far_back_as_they_are_kept(tmp_path: Path) -> None:
    platform = Platform(tmp_path, older_rows=2)
    platform.commit([row(step, float(step)) for step in range(9)] + [row(3, 3.0, a="LGA")])
    found = [platform.online("JFK", moment) for moment in (5, 6, 7, 8, 10)]
    assert [one.status.value for one in found] == ["unknown", "present", "present", "present", "present"]
    assert values(platform, 6, 7, 8, 10) == [6.0, 7.0, 8.0, 8.0]
    assert platform.online("LGA", 2).status.value == "missing"
    assert platform.check() == 7


def test_a_row_that_became_known_late_answers_from_then_on_as_in_training(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    platform.commit([row(1, 1.0), row(4, 4.0, created=7), row(2, 2.0, created=9)])
    assert values(platform, 0, 1, 6, 7, 9, 10) == [None, 1.0, 1.0, 4.0, 4.0, 4.0]
    assert platform.check() == 0


def test_rows_whose_creation_is_not_known_are_left_out_and_counted_as_in_training(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    written = platform.commit([row(1, 1.0), {**row(4, 4.0), "c": None}])
    assert (written.unusable, written.watermark) == (1, us(1))
    assert values(platform, 10) == [1.0]
    platform.check()


def test_an_earlier_version_says_that_a_later_one_is_online_and_changes_nothing(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    assert platform.commit([row(1, 2.0)], sequence=2).newer == ""
    assert "is newer than number 1" in platform.commit([row(1, 1.0)], sequence=1).newer
    assert values(platform, 10) == [2.0]
