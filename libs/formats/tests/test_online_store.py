"""A view is always whole for its readers, and is what one version of its dataset says."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from capstan_formats.online import (
    MISSING,
    EntityRow,
    GenerationFile,
    Lookup,
    NewerOnlineError,
    OnlineCodecError,
    OnlineColumn,
    OnlineReader,
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


LATE = 1 << 50


def row(origin: str, hour: int, temp: float | None, event_ts: int = 0, known_ts: int | None = None) -> EntityRow:
    return EntityRow((origin, hour), event_ts, event_ts if known_ts is None else known_ts, (temp, None))


def write(
    folder: Path, *rows: EntityRow, schema: OnlineSchema = SCHEMA, sequence: int = 0, watermark: Any = None
) -> Any:
    with OnlineWriter(folder, schema, sequence) as writer:
        writer.write(rows)
        return writer.commit(watermark)


def temps(folder: Path, *keys: tuple[Any, ...], at: int = LATE) -> list[Any]:
    with OnlineReader(folder, "weather") as reader:
        return [found.values and found.values["temp"] for found in seen(reader, *keys, at=at)]


def seen(reader: OnlineReader, *keys: tuple[Any, ...], at: int = LATE) -> list[Lookup]:
    return [look_up(entity, at, None) for entity in reader.get(keys)]


def test_round_trip(tmp_path: Path) -> None:
    made = write(tmp_path, row("JFK", 1, 5.0, 10, 20), row("LGA", 1, None), watermark=99)
    assert (made.rows, made.watermark) == (2, 99)
    with OnlineReader(tmp_path, "weather") as reader:
        assert reader.schema == SCHEMA
        found = seen(reader, ("LGA", 1), ("JFK", 2), ("JFK", 1), ("JFK", 1), (None, 1))
        jfk = Lookup(Status.PRESENT, 10, {"temp": 5.0, "sky": None})
        assert found == [Lookup(Status.PRESENT, 0, {"temp": None, "sky": None}), MISSING, jfk, jfk, MISSING]
        assert reader.get([]) == []
        assert seen(reader, ("JFK", 1)) == [jfk]


def test_a_generation_is_loaded_elsewhere_in_batches_of_few_entities_and_few_bytes(tmp_path: Path) -> None:
    write(tmp_path, *[row("JFK", hour, float(hour)) for hour in range(100)], watermark=7, sequence=3)
    with GenerationFile(tmp_path, "weather") as file:
        assert (file.meta.schema, file.meta.sequence, file.meta.watermark, file.meta.rows) == (SCHEMA, 3, 7, 100)
        by_count = list(file.batches(30, 1 << 20))
        assert [len(batch) for batch in by_count] == [30, 30, 30, 10]
        (size,) = {len(key) + len(value) for batch in by_count for key, value in batch.items()}
        by_bytes = list(file.batches(1000, 4 * size))
        assert [len(batch) for batch in by_bytes] == [4] * 25
        assert [len(batch) for batch in file.batches(1000, 1)] == [1] * 100
        assert {key: value for batch in by_bytes for key, value in batch.items()} == {
            key: value for batch in by_count for key, value in batch.items()
        }


def test_more_keys_than_one_statement_takes(tmp_path: Path) -> None:
    write(tmp_path, *[row("JFK", hour, float(hour)) for hour in range(2000)])
    keys = [("JFK", hour) for hour in range(-5, 2005)]
    assert temps(tmp_path, *keys) == [None] * 5 + [float(hour) for hour in range(2000)] + [None] * 5


def test_rows_of_an_entity_are_given_together_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0, 10), row("JFK", 1, 2.0, 5, 20), row("LGA", 1, 3.0))
    assert [temps(tmp_path, ("JFK", 1), at=at)[0] for at in (9, 10, 19, 20)] == [None, 1.0, 1.0, 2.0]
    for wrong in ([row("JFK", 1, 1.0, 10), row("JFK", 1, 2.0, 10)], [row("JFK", 1, 1.0, 10), row("JFK", 1, 2.0, 9)]):
        with pytest.raises(OnlineCodecError, match="row 0: rows of an entity come in the order of known_ts"):
            write(tmp_path, *wrong)
    with pytest.raises(OnlineCodecError, match="must follow one another"):
        write(tmp_path, row("JFK", 1, 1.0), row("LGA", 1, 1.0), row("JFK", 1, 2.0, 5))
    assert temps(tmp_path, ("LGA", 1)) == [3.0]


def test_another_version_starts_anew(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0), sequence=9)
    other = OnlineSchema("weather", "cd" * 32, SCHEMA.keys, SCHEMA.columns, SCHEMA.ttl_s)
    write(tmp_path, schema=other, sequence=1)
    assert temps(tmp_path, ("JFK", 1)) == [None]


def test_an_earlier_dataset_version_does_not_replace_a_later_one(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0), sequence=2)
    with pytest.raises(NewerOnlineError, match=r"holds version number 2 .* newer than number 1"):
        write(tmp_path, row("JFK", 1, 9.0), sequence=1)
    assert temps(tmp_path, ("JFK", 1)) == [1.0]
    assert write(tmp_path, row("LGA", 1, 2.0), sequence=2).rows == 1
    assert temps(tmp_path, ("JFK", 1), ("LGA", 1)) == [None, 2.0]


def test_a_generation_of_another_format_is_refused_and_replaced(tmp_path: Path) -> None:
    made = write(tmp_path, row("JFK", 1, 1.0), sequence=5)
    connection = sqlite3.connect(made.path)
    connection.execute("UPDATE meta SET value = CAST(replace(value, 'online/2', 'online/1') AS BLOB)")
    connection.commit()
    connection.close()
    with pytest.raises(OnlineStoreError, match=r"format must be 'capstan.online/2', not 'capstan.online/1'"):
        OnlineReader(tmp_path, "weather")
    write(tmp_path, row("JFK", 1, 2.0), sequence=1)
    assert temps(tmp_path, ("JFK", 1)) == [2.0]


def test_a_reader_follows_the_pointer(tmp_path: Path) -> None:
    write(tmp_path, row("JFK", 1, 1.0))
    with OnlineReader(tmp_path, "weather") as reader:
        for temp in range(20):
            write(tmp_path, row("JFK", 1, float(temp), event_ts=temp + 1), watermark=temp)
            (found,) = seen(reader, ("JFK", 1))
            assert found.values is not None
            assert found.values["temp"] == temp
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
        (EntityRow(("JFK", 2), 0, 0, ("warm", None)), "row 1: column 'temp'"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, bad: EntityRow, says: str) -> None:
    with OnlineWriter(tmp_path, SCHEMA) as writer, pytest.raises(OnlineCodecError, match=says):
        writer.write([row("JFK", 1, 1.0), bad])


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
                found = [None if one.values is None else float(one.values["temp"]) for one in seen(reader, *pair)]
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
