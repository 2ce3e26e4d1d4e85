"""A view is always whole for its readers, and no write moves an entity back in time."""

from __future__ import annotations

import random
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from capstan_formats.online import (
    EntityRow,
    OnlineCodecError,
    OnlineColumn,
    OnlineReader,
    OnlineRow,
    OnlineSchema,
    OnlineStoreError,
    OnlineWriter,
    Status,
    ViewNotMaterializedError,
    look_up,
)
from capstan_formats.online.store import pointer_path

SCHEMA = OnlineSchema(
    view="weather",
    version="ab" * 32,
    keys=(OnlineColumn("origin", "string"), OnlineColumn("time_hour", "timestamp")),
    columns=(OnlineColumn("temp", "float64"), OnlineColumn("sky", "string")),
    ttl_s=10,
)


def row(origin: str, hour: int, temp: float | None, event_ts: int = 0, created_ts: int = 0, tie: int = 0) -> EntityRow:
    return EntityRow((origin, hour), event_ts, created_ts, (temp, None), tie)


def write(folder: Path, *rows: EntityRow, schema: OnlineSchema = SCHEMA, **options: Any) -> Any:
    watermark = options.pop("watermark", None)
    with OnlineWriter(folder, schema, **options) as writer:
        writer.write(rows)
        return writer.commit(watermark)


def temps(folder: Path, *keys: tuple[Any, ...]) -> list[Any]:
    with OnlineReader(folder, "weather") as reader:
        return [found and found.values["temp"] for found in reader.get(keys)]


def test_round_trip(tmp_path: Path) -> None:
    made = write(tmp_path, row("JFK", 1, 5.0, 10, 20), row("LGA", 1, None), watermark=99)
    assert (made.rows, made.changed, made.watermark) == (2, 2, 99)
    with OnlineReader(tmp_path, "weather") as reader:
        assert (reader.schema, reader.watermark, reader.rows) == (SCHEMA, 99, 2)
        found = reader.get([("LGA", 1), ("JFK", 2), ("JFK", 1), ("JFK", 1), (None, 1)])
        jfk = OnlineRow(10, 20, {"temp": 5.0, "sky": None})
        assert found == [OnlineRow(0, 0, {"temp": None, "sky": None}), None, jfk, jfk, None]
        assert reader.get([]) == []
        assert reader.get([("JFK", 1)]) == [jfk]


def test_more_keys_than_one_statement_takes(tmp_path: Path) -> None:
    write(tmp_path, *[row("JFK", hour, float(hour)) for hour in range(2000)])
    keys = [("JFK", hour) for hour in range(-5, 2005)]
    assert temps(tmp_path, *keys) == [None] * 5 + [float(hour) for hour in range(2000)] + [None] * 5


def test_the_newest_wins_in_any_order(tmp_path: Path) -> None:
    rows = [
        row("JFK", 1, float(event * 100 + created * 10 + tie), event, created, tie)
        for event in (-5, 0, 3)
        for created in (-1, 2)
        for tie in (0, 7)
    ]
    for seed in range(10):
        folder = tmp_path / str(seed)
        random.Random(seed).shuffle(rows)
        for start in range(0, len(rows), 4):
            write(folder, *rows[start : start + 4])
        assert temps(folder, ("JFK", 1)) == [327.0]


def test_equal_times_and_tie_give_one_answer_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "a", row("JFK", 1, 1.0), row("JFK", 1, 2.0))
    write(tmp_path / "b", row("JFK", 1, 2.0), row("JFK", 1, 1.0))
    assert temps(tmp_path / "a", ("JFK", 1)) == temps(tmp_path / "b", ("JFK", 1))


def test_extending_keeps_and_starting_anew_drops(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0, 5), watermark=50)
    made = write(tmp_path, row("JFK", 1, 9.0, 4), row("LGA", 1, 2.0), watermark=40)
    assert (made.rows, made.changed, made.watermark) == (2, 1, 50)
    assert temps(tmp_path, ("JFK", 1), ("LGA", 1)) == [1.0, 2.0]
    assert write(tmp_path, row("LGA", 1, 3.0), extend=False).watermark is None
    assert temps(tmp_path, ("JFK", 1), ("LGA", 1)) == [None, 3.0]


def test_another_version_starts_anew(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0))
    other = OnlineSchema("weather", "cd" * 32, SCHEMA.keys, SCHEMA.columns, SCHEMA.ttl_s)
    with OnlineWriter(tmp_path, other) as writer:
        assert not writer.extended
        writer.commit()
    assert temps(tmp_path, ("JFK", 1)) == [None]


def test_a_reader_follows_the_pointer(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0))
    with OnlineReader(tmp_path, "weather") as reader:
        for temp in range(20):
            write(tmp_path, row("JFK", 1, float(temp), event_ts=temp + 1), watermark=temp)
            found = reader.get([("JFK", 1)])[0]
            assert found is not None
            assert (found.values["temp"], reader.watermark) == (temp, temp)
    assert len(list(tmp_path.glob("*.online"))) == 1


def test_unfinished_and_abandoned_writers_change_nothing(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0))
    before = sorted(path.name for path in tmp_path.iterdir())
    with OnlineWriter(tmp_path, SCHEMA) as writer:
        writer.write([row("JFK", 1, 2.0, event_ts=9)])
        assert temps(tmp_path, ("JFK", 1)) == [1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with pytest.raises(OnlineStoreError, match="closed"):
        writer.write([])
    with pytest.raises(OnlineStoreError, match="closed"):
        writer.commit()


def test_leftovers_of_a_crash_are_swept_and_neighbours_are_not(tmp_path: Path) -> None:
    left = tmp_path / f"weather.{'0' * 32}.online"
    neighbour = tmp_path / f"weather-daily.{'0' * 32}.online"
    for path in (left, neighbour):
        path.write_bytes(b"half")
    write(tmp_path, row("JFK", 1, 1.0))
    assert (left.exists(), neighbour.exists()) == (False, True)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with OnlineWriter(tmp_path, SCHEMA) as writer:
        with pytest.raises(OnlineStoreError, match="another writer"):
            OnlineWriter(tmp_path, SCHEMA, lock_timeout_s=0.05)
        writer.commit()
        OnlineWriter(tmp_path, SCHEMA, lock_timeout_s=0.05).discard()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (EntityRow(("JFK",), 0, 0, (1.0, None)), "row 1: the key has 1 parts, not 2"),
        (EntityRow(("JFK", None), 0, 0, (1.0, None)), "row 1: a key part"),
        (EntityRow(("JFK", 1), 0, 0, ("warm", None)), "row 1: column 'temp'"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, bad: EntityRow, says: str) -> None:
    with OnlineWriter(tmp_path, SCHEMA) as writer, pytest.raises(OnlineCodecError, match=says):
        writer.write([row("JFK", 1, 1.0), bad])


@pytest.mark.parametrize(
    ("event_ts", "event_time", "status"),
    [
        (0, 0, Status.PRESENT),
        (0, 10_000_000, Status.PRESENT),
        (0, 10_000_001, Status.EXPIRED),
        (1, 0, Status.MISSING),
    ],
)
def test_ttl_is_inclusive_and_the_future_is_missing(event_ts: int, event_time: int, status: Status) -> None:
    found = look_up(OnlineRow(event_ts, 0, {"temp": 5.0}), event_time, 10)
    assert found.status is status
    assert found.values == ({"temp": 5.0} if status is Status.PRESENT else None)
    assert found.event_ts == (None if status is Status.MISSING else event_ts)


def test_without_ttl_nothing_expires() -> None:
    assert look_up(OnlineRow(0, 0, {}), 10**18, None).status is Status.PRESENT
    assert look_up(None, 0, 10) == (Status.MISSING, None, None)


def test_nothing_written_yet(tmp_path: Path) -> None:
    with pytest.raises(ViewNotMaterializedError, match="'weather' has nothing online"):
        OnlineReader(tmp_path, "weather")


def test_damaged_files(tmp_path: Path) -> None:
    made = write(tmp_path, row("JFK", 1, 1.0))
    connection = sqlite3.connect(made.path)
    connection.execute("UPDATE meta SET value = X'7B7D'")
    connection.commit()
    connection.close()
    with pytest.raises(OnlineStoreError, match="format must be"):
        OnlineReader(tmp_path, "weather")
    made.path.write_bytes(b"not a database" * 500)
    with pytest.raises(OnlineStoreError, match="cannot be opened"):
        OnlineReader(tmp_path, "weather")
    made.path.unlink()
    with pytest.raises(OnlineStoreError, match="cannot be opened"):
        OnlineReader(tmp_path, "weather")


def test_a_reader_survives_the_loss_of_the_pointer_with_an_error(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0))
    with OnlineReader(tmp_path, "weather") as reader:
        pointer_path(tmp_path, "weather").unlink()
        with pytest.raises(ViewNotMaterializedError):
            reader.get([("JFK", 1)])
        write(tmp_path, row("JFK", 1, 2.0))
        assert reader.get([("JFK", 1)])[0] is not None
    with pytest.raises(OnlineStoreError, match="closed"):
        reader.get([("JFK", 1)])


def test_readers_never_see_a_gap_while_generations_switch(tmp_path: Path) -> None:
    """Both values of an entity pair are written together, so a reader must always see them equal."""
    pair = [("JFK", 1), ("LGA", 1)]
    write(tmp_path, row("JFK", 1, 0.0), row("LGA", 1, 0.0))
    stop, wrong = threading.Event(), []

    def read() -> None:
        with OnlineReader(tmp_path, "weather") as reader:
            last = 0.0
            while not stop.is_set():
                found = [entry and entry.values["temp"] for entry in reader.get(pair)]
                if found[0] is None or found[0] != found[1] or found[0] < last:
                    wrong.append(found)
                else:
                    last = found[0]

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 60):
        write(tmp_path, row("JFK", 1, float(number), number), row("LGA", 1, float(number), number))
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert wrong == []
