"""Rows are found by their keys across files, whatever the keys are."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_ingestion.domain.jobs import ComparedKeys, KeysToCompare, LeftFile
from capstan_ingestion.jobs.compare_keys import run
from capstan_ingestion.modalities.table.key_index import KeyIndex
from capstan_servicekit.jobs.api import Job, fields_of

Key = tuple[Any, ...]


def table(keys: list[Key]) -> pa.Table:
    names = ("n", "s", "big")
    types = (pa.int64(), pa.string(), pa.int64())
    return pa.table({name: pa.array([key[i] for key in keys], types[i]) for i, name in enumerate(names)})


def test_a_row_is_found_exactly_when_a_row_has_its_key() -> None:
    draw = random.Random(7)
    every = list(itertools.product(range(3), ("", "a", "b"), (2**53, 2**53 + 1)))
    for _ in range(200):
        own, others = draw.choices(every, k=draw.randint(1, 12)), draw.choices(every, k=draw.randint(0, 12))
        index = KeyIndex(table(own), ("n", "s", "big"))
        for key, code in zip(others, index.find(table(others)), strict=True):
            assert (code >= 0) == (key in own)
            assert code < 0 or own[index.codes.tolist().index(code)] == key


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2**60 + 1]), pa.array(["é", "e\u0301"]), pa.array([True, False]),
        pa.array([Decimal("1.10"), Decimal("1.1000000000000000001")], pa.decimal128(38, 19)),
        pa.array([datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        pa.array([date(2013, 1, 1), date(2013, 1, 2)]), pa.array([0.5, 0.25]), pa.array([b"\x00", b"\x00\x00"]),
    ],
    ids=lambda values: str(values.type),
)  # fmt: skip
def test_every_type_that_a_key_may_have(values: pa.Array, tmp_path: Path) -> None:
    own = pa.table({"k": values.take(pa.array([0, 0]))})
    index = KeyIndex(own, ["k"])
    assert index.find(pa.table({"k": values})).tolist() == [0, -1]
    nulls = pa.table({"k": pa.array([None, values[0].as_py()], values.type)})
    assert KeyIndex(nulls, ["k"]).find(nulls).tolist()[0] == -1, "a null is equal to no other"
    pq.write_table(pa.table({"k": values}), tmp_path / "other.parquet")
    within = index.within(own.schema)
    if pa.types.is_boolean(values.type):
        assert within is None, "two values have no row groups to leave out"
    else:
        assert pq.read_table(tmp_path / "other.parquet", filters=within)["k"].to_pylist() == [values[0].as_py()]


def test_the_job_counts_by_partition_and_writes_what_is_left(tmp_path: Path) -> None:
    at = [datetime(2013, 1, day, tzinfo=UTC) for day in range(1, 10)]

    def file(name: str, ids: list[int]) -> str:
        rows = {"id": ids, "at": pa.array([at[id_] for id_ in ids], pa.timestamp("us", "UTC"))}
        pq.write_table(pa.table(rows), tmp_path / name)
        return str(tmp_path / name)

    others = {"a": file("a", [1, 2, 3]), "b": file("b", [4, 5]), "c": file("c", [8])}
    asked = KeysToCompare(file("new", [3, 4, 5, 6]), ["id"], "at", others, replace=True, max_failing_rows=2)
    a = LeftFile(2, "left-0.parquet", "2013-01-02T00:00:00+00:00", "2013-01-03T00:00:00+00:00")
    assert run(Job(fields_of(asked), tmp_path)) == ComparedKeys(
        rows=3,
        by_partition={"a": 1, "b": 2},
        failing_rows=None,
        left={"a": fields_of(a), "b": fields_of(LeftFile(0))},
    )
    assert pq.read_table(tmp_path / "left-0.parquet")["id"].to_pylist() == [1, 2]
    assert not (tmp_path / "repeated-rows.json").exists(), "nobody reads the rows that replace others"
    asked = replace(asked, replace=False)
    assert run(Job(fields_of(asked), tmp_path)) == ComparedKeys(3, {"a": 1, "b": 2}, "repeated-rows.json", {})
    rows = json.loads((tmp_path / "repeated-rows.json").read_text())
    assert [(row["_row"], row["id"], row["_checks"]) for row in rows] == [
        (0, 3, ["keys:unique-in-version"]), (1, 4, ["keys:unique-in-version"]),
    ]  # fmt: skip


def test_a_file_that_lacks_a_key_shares_none_and_one_without_the_event_time_is_left_without_times(
    tmp_path: Path,
) -> None:
    def file(name: str, **columns: Any) -> str:
        pq.write_table(pa.table(columns), tmp_path / name)
        return str(tmp_path / name)

    moment = pa.array([datetime(2013, 1, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC"))
    new = file("new", id=[1, 2], leg=[1, 1], at=moment)
    others = {"older": file("older", id=[1, 2]), "timeless": file("timeless", id=[1, 9], leg=[1, 1])}
    found = run(
        Job(fields_of(KeysToCompare(new, ["id", "leg"], "at", others, replace=True, max_failing_rows=2)), tmp_path)
    )
    assert found.by_partition == {"timeless": 1}
    assert found.left == {"timeless": fields_of(LeftFile(1, "left-0.parquet"))}
