"""The recipe's own modules, and the prepared year, for every test of the recipe."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

RECIPE = Path(__file__).resolve().parent.parent
Join = Callable[[duckdb.DuckDBPyConnection], pa.Table]


@pytest.fixture(scope="session")
def recipe() -> Path:
    return RECIPE


@pytest.fixture(scope="session")
def environments() -> Path:
    """Where the job environments lie."""
    return RECIPE.parents[1] / ".venvs"


@pytest.fixture(scope="session")
def prepare() -> ModuleType:
    """prepare.py as a module."""
    spec = importlib.util.spec_from_file_location("flight_delay_prepare", RECIPE / "prepare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def year(prepare: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all batches of the year."""
    folder = tmp_path_factory.mktemp("year")
    prepare.prepare(folder)
    return folder


@pytest.fixture
def database(year: Path) -> duckdb.DuckDBPyConnection:
    """Tables flights, weather and planes with the whole year."""
    con = duckdb.connect(config={"threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    for dataset in ("flights", "weather", "planes"):
        con.execute(f"CREATE TABLE {dataset} AS SELECT * FROM '{year}/{dataset}/*.parquet'")
    return con


@pytest.fixture(scope="session")
def views() -> list[dict[str, Any]]:
    """View definitions with their SQL in place."""
    folder = RECIPE / "features"
    found = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml")) if path.name != "service.yaml"]
    return [view | {"sql": (folder / view["sql"]).read_text()} for view in found]


@pytest.fixture(scope="session")
def as_known(views: list[dict[str, Any]]) -> Join:
    """Joins table `labels` with every view as it was known at each label's time, in order of the flights' keys.

    The rows of a view that were known by then; of them the newest; null where that is older than the view's ttl.
    """
    hours = {"h": 1, "d": 24}
    service = yaml.safe_load((RECIPE / "features" / "service.yaml").read_text())
    keys = {lookup["view"]: lookup["keys"] for lookup in service["lookups"]}

    def join(con: duckdb.DuckDBPyConnection) -> pa.Table:
        selected, joins = ["l.*"], []
        for view in views:
            name, ttl = view["name"], view.get("ttl")
            con.execute(f"CREATE OR REPLACE TABLE {name} AS {view['sql']}")
            most = f"INTERVAL {int(ttl[:-1]) * hours[ttl[-1]]} HOUR" if ttl else "INTERVAL 100 YEAR"
            young = f"l.scheduled_departure - {name}.event_time <= {most}"
            columns = [column["name"] for column in view["columns"]]
            selected += [f"CASE WHEN {young} THEN {name}.{column} END AS {name}__{column}" for column in columns]
            on = " AND ".join(f"l.{column} = {name}.{key}" for key, column in keys[name].items())
            joins.append(f"ASOF LEFT JOIN {name} ON {on} AND l.scheduled_departure >= {name}.created_time")
        query = f"SELECT {', '.join(selected)} FROM labels l {' '.join(joins)}"
        return con.execute(f"{query} ORDER BY l.scheduled_departure, l.carrier, l.flight, l.origin").to_arrow_table()

    return join
