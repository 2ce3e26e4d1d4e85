"""No integer passes through a float: neighbours beyond 2^53 stay two values for every rule, beside a null as well."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_testkit.harness import job_pythons

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

A, B = 2**53 + 1, 2**53
PROGRAM = """
import json, sys
import pyarrow.parquet as pq
from capstan_ingestion.domain.contract import read_contract
from capstan_ingestion.jobs.great_expectations_engine import validate
document = json.load(open(sys.argv[2]))
found = validate(pq.read_table(sys.argv[1]), document, read_contract(document))
print(json.dumps([[each.result.outcome, each.rows.tolist(), each.result.sentence] for each in found]))
"""

Result = tuple[str, list[int], str]


def held(folder: Path, table: dict[str, Any], *expectations: tuple[str, dict[str, Any]]) -> list[Result]:
    """(outcome, rows, sentence) of each expectation, by the engine in the environment of its jobs."""
    rows, suite = folder / "rows.parquet", folder / "suite.json"
    pq.write_table(pa.table(table), rows)
    entries = [{"type": f"expect_{kind}", "kwargs": kwargs} for kind, kwargs in expectations]
    suite.write_text(json.dumps({"name": "exact", "expectations": entries}))
    command = [job_pythons()["ingestion"], "-c", PROGRAM, str(rows), str(suite)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return [(outcome, places, text) for outcome, places, text in json.loads(done.stdout.splitlines()[-1])]


def about(column: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("column_values_to_be_in_set", {"column": column, "value_set": [B]}),
        ("column_values_to_not_be_in_set", {"column": column, "value_set": [B]}),
        ("column_values_to_be_unique", {"column": column}),
        ("compound_columns_to_be_unique", {"column_list": [column, "flag"]}),
        ("column_distinct_values_to_equal_set", {"column": column, "value_set": [A, B]}),
        ("column_unique_value_count_to_be_between", {"column": column, "min_value": 2, "max_value": 2}),
        ("column_values_to_be_between", {"column": column, "min_value": A}),
        ("column_values_to_be_between", {"column": column, "min_value": B, "strict_min": True, "mostly": 0.5}),
        ("column_max_to_be_between", {"column": column, "max_value": B}),
        ("column_min_to_be_between", {"column": column, "min_value": B, "max_value": B}),
        ("column_mean_to_be_between", {"column": column, "min_value": 2**52, "max_value": 2**54}),
    ]


def test_neighbours_beside_a_null_stay_apart(tmp_path: Path) -> None:
    table = {"id": pa.array([A, B, None], pa.int64()), "flag": [True, True, True]}
    type_of: list[tuple[str, dict[str, Any]]] = [
        ("column_values_to_be_of_type", {"column": "id", "type_": "int64"}),
        ("column_values_to_be_in_type_list", {"column": "id", "type_list": ["int64"]}),
        ("multicolumn_sum_to_equal", {"column_list": ["id", "id"], "sum_total": 1}),
    ]
    results = held(tmp_path, table, *about("id"), *type_of)
    expected = ["failed", "failed", "passed", "passed", "passed", "passed", "failed", "passed", "failed", "passed"]
    assert [outcome for outcome, _, _ in results] == [*expected, "passed", "passed", "passed", "error"]
    assert [results[place][1] for place in (0, 1, 6)] == [[0], [1], [1]]
    assert results[6][2] == f"id: 1 of 3 rows below {A}"
    assert results[8][2] == f"id: max is {A:,}, but has to be in (-inf, {B}]"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([A, B], pa.int64()),
        pa.array([A, B, None], pa.decimal128(20, 0)),
        pa.array([A, B], pa.decimal128(38, 0)),
    ],
    ids=["int64", "decimal and null", "decimal"],
)
def test_neighbours_stay_apart_in_every_type(tmp_path: Path, column: pa.Array) -> None:
    results = held(tmp_path, {"id": column, "flag": [True] * len(column)}, *about("id"))
    expected = ["failed", "failed", "passed", "passed", "passed", "passed", "failed", "passed", "failed", "passed"]
    assert [outcome for outcome, _, _ in results] == [*expected, "passed"]


def test_ordinary_numbers_are_the_engines_own_business(tmp_path: Path) -> None:
    table = {"n": pa.array([1, 2, None], pa.int64()), "flag": pa.array([True, None, False]), "m": [1, 5, 6]}
    results = held(
        tmp_path,
        table,
        ("column_values_to_be_of_type", {"column": "n", "type_": "int64"}),
        ("column_values_to_be_of_type", {"column": "flag", "type_": "bool"}),
        ("column_pair_values_to_be_equal", {"column_A": "n", "column_B": "m"}),
        ("column_values_to_be_between", {"column": "n", "min_value": 1, "max_value": 1}),
        ("column_values_to_be_between", {"column": "n", "max_value": A}),
    )
    assert [(outcome, rows) for outcome, rows, _ in results] == [
        ("passed", []), ("passed", []), ("failed", [1, 2]), ("failed", [1]), ("passed", []),
    ]  # fmt: skip


def test_a_decimal_is_compared_as_the_float_that_it_is_written_as(tmp_path: Path) -> None:
    cents = [Decimal(n).scaleb(-2) for n in range(1000)]
    results = held(
        tmp_path,
        {"price": pa.array(cents, pa.decimal128(18, 2))},
        ("column_values_to_be_in_set", {"column": "price", "value_set": [n / 100 for n in range(1000)]}),
    )
    assert [(outcome, rows) for outcome, rows, _ in results] == [("passed", [])]
