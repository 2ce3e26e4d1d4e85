"""No integer passes through a float: keys and values from 2^53 on, with nulls beside them, in the join and online."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capstan_feature_store.jobs import explain, materialize, training_set
from capstan_formats.online import OnlineReader, look_up
from capstan_servicekit.jobs.api import Job

AT = datetime(2013, 1, 1, tzinfo=UTC)
AT_US = int(AT.timestamp()) * 1_000_000
INSTANT = pa.timestamp("us", "UTC")
KEYS = (2**53, 2**53 + 1, 2**63 - 1, -(2**63), 7)
VALUES = (2**53 + 1, 2**53, None, 2**63 - 1, -(2**63))
VIEW: dict[str, Any] = {
    "name": "v", "version": "0" * 64, "dataset": "rows", "sql": "SELECT * FROM rows", "keys": [["k", "int64"]],
    "columns": [["x", "int64"]], "event_time": "e", "created_time": None, "ttl_us": None,
}  # fmt: skip


def write(path: Path, **columns: Any) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def rows_of(folder: Path) -> str:
    """What the view reads: a null key beside the large ones, which belongs to nobody."""
    keys, values = pa.array([*KEYS, None], pa.int64()), pa.array([*VALUES, 1], pa.int64())
    return write(folder / "rows", k=keys, x=values, e=pa.array([AT] * 6, INSTANT))


def test_a_training_set_has_every_integer_as_it_was(tmp_path: Path) -> None:
    asked = (None, *reversed(KEYS))
    labels = write(
        tmp_path / "labels", k=pa.array(asked, pa.int64()), n=pa.array([2**53 + 1, None, *KEYS[:4]], pa.int64()),
        at=pa.array([AT] * 6, INSTANT), y=pa.array([2**53 + 1] * 6, pa.int64()),
    )  # fmt: skip
    request = [["k", "int64"], ["n", "int64"], ["at", "timestamp"]]
    service = {"label_time": "at", "request": request, "derived": [], "lookups": {"v": {"k": "k"}}}
    given = {
        "datasets": {"labels": [labels], "rows": [rows_of(tmp_path)]}, "dataset": "labels", "files": [["p", "a" * 64]],
        "label": "y", "service": service, "views": [VIEW], "as_known": False, "memory_mb": 128, "threads": 1,
    }  # fmt: skip
    (tmp_path / "set").mkdir()
    made = pq.read_table(training_set.run(Job(given, tmp_path / "set")).path)
    assert made["k"].to_pylist() == list(asked)
    assert made["n"].to_pylist() == [2**53 + 1, None, *KEYS[:4]]
    assert made["v__x"].to_pylist() == [None, *reversed(VALUES)]
    assert made["label"].to_pylist() == [2**53 + 1] * 6


def test_a_lookup_online_has_every_integer_as_it_was(tmp_path: Path) -> None:
    given = {
        "view": VIEW, "files": [rows_of(tmp_path)], "sequence": 1, "now_us": AT_US, "older_rows": 3,
        "folder": str(tmp_path / "online"), "memory_mb": 128, "threads": 1,
    }  # fmt: skip
    (tmp_path / "view").mkdir()
    assert materialize.run(Job(given, tmp_path / "view")).unusable == 1
    with OnlineReader(tmp_path / "online", "v") as reader:
        found = [look_up(entity, AT_US, None).values for entity in reader.get([(key,) for key in KEYS])]
        assert reader.get([(2**53 + 2,)]) == [None], "a neighbour is another entity"
    assert found == [{"x": value} for value in VALUES]


def test_an_explanation_finds_the_entity_and_not_its_neighbour(tmp_path: Path) -> None:
    file = rows_of(tmp_path)
    for number, key in enumerate(KEYS):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = {"view": VIEW, "files": [file], "keys": {"k": key}, "event_us": AT_US, "limit": 5}
        ((_, row, values),) = explain.run(Job(given, folder)).rows
        assert (row, values["k"], values["x"]) == (number, key, VALUES[number])
