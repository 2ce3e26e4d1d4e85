"""The contracts are Great Expectations' own JSON, fit the prepared data, and hold on it; broken months break them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

DATASETS = ("flights", "weather", "planes")


def suite(recipe: Path, dataset: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((recipe / "contracts" / f"{dataset}.json").read_text())
    return loaded


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_contract_is_a_suite_whose_results_can_be_matched(recipe: Path, dataset: str) -> None:
    spec = suite(recipe, dataset)
    assert set(spec) == {"name", "expectations", "meta"} and spec["name"] == dataset
    keys = [one["meta"]["key"] for one in spec["expectations"]]
    assert len(keys) == len(set(keys))
    for one in spec["expectations"]:
        assert set(one) == {"type", "kwargs", "meta", "severity"}
        assert one["type"].startswith("expect_") and one["severity"] in {"critical", "warning"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_contract_speaks_of_the_columns_that_are_there(recipe: Path, year: Path, dataset: str) -> None:
    columns = set(pq.read_schema(next(iter(sorted((year / dataset).iterdir())))).names)
    spec = suite(recipe, dataset)
    told: set[str] = set()
    for one in spec["expectations"]:
        kwargs = one["kwargs"]
        told |= {kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs}
        told |= set(kwargs.get("column_list", ()))
    assert told <= columns
    assert set(spec["expectations"][0]["kwargs"]["column_set"]) == columns


def test_the_contract_of_flights_has_27_checks(recipe: Path) -> None:
    expectations = suite(recipe, "flights")["expectations"]
    assert len(expectations) == 27
    assert sum(one["severity"] == "critical" for one in expectations) == 20


def verdicts(recipe: Path, environments: Path, dataset: str, files: list[Path]) -> dict[str, dict[str, Any]]:
    """What does not hold by Great Expectations' own judgement: {file name: {key: row numbers}}."""
    python = environments / "ingestion" / "bin" / "python"
    if not python.exists():
        pytest.skip("the ingestion environment is not there")
    script = recipe / "tests" / "gx_verdict.py"
    command = [str(python), str(script), str(recipe / "contracts" / f"{dataset}.json"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {Path(path).name: broken for path, broken in found.items()}


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(180)
def test_flights_hold_their_contract_and_broken_months_do_not(
    recipe: Path, environments: Path, prepare: ModuleType, year: Path, tmp_path: Path
) -> None:
    months = sorted((year / "flights").iterdir())
    april = year / "flights" / "2013-04.parquet"
    broken, short = tmp_path / "broken.parquet", tmp_path / "short.parquet"
    prepare.break_month(april, broken)
    prepare.drop_column(april, short)
    found = verdicts(recipe, environments, "flights", [*months, broken, short])
    assert {name: keys for name, keys in found.items() if name.startswith("20")} == {path.name: {} for path in months}
    con = duckdb.connect()
    rows = "(SELECT *, row_number() OVER () - 1 AS row FROM read_parquet(?))"
    wrong = con.execute(f"SELECT row FROM {rows} WHERE distance < 0 ORDER BY row", [str(broken)]).fetchall()
    key = "carrier, flight, origin, scheduled_departure"
    twice = f"SELECT row FROM {rows} QUALIFY count(*) OVER (PARTITION BY {key}) > 1 ORDER BY row"
    repeated = con.execute(twice, [str(broken)]).fetchall()
    assert set(found["broken.parquet"]) == {"distance-range", "one-row-per-flight"}
    assert found["broken.parquet"]["distance-range"] == [row for (row,) in wrong]
    assert found["broken.parquet"]["one-row-per-flight"] == [row for (row,) in repeated]
    about = [one for one in suite(recipe, "flights")["expectations"] if one["kwargs"].get("column") == "arr_delayed"]
    assert set(found["short.parquet"]) == {"columns", *(one["meta"]["key"] for one in about)}


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(180)
@pytest.mark.parametrize("dataset", ["weather", "planes"])
def test_weather_and_planes_hold_theirs(recipe: Path, environments: Path, year: Path, dataset: str) -> None:
    """One hour of February has a wind of 1,048 miles an hour: a warning, which is recorded and blocks nothing."""
    found = verdicts(recipe, environments, dataset, sorted((year / dataset).iterdir()))
    odd = {name: keys for name, keys in found.items() if keys}
    assert odd == ({"2013-02.parquet": {"wind_speed-range": [816]}} if dataset == "weather" else {})
    severities = {one["meta"]["key"]: one["severity"] for one in suite(recipe, dataset)["expectations"]}
    assert severities.get("wind_speed-range", "warning") == "warning"
