"""The pipeline, run by KFP itself on a part of three real months: one package, the same bytes each time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_engines.family import check
from capstan_evaluation.kinds import find
from capstan_evaluation.tasks import binary
from capstan_packages.models import ModelPackage, read_model

Join = Callable[[duckdb.DuckDBPyConnection], pa.Table]
Run = Callable[..., dict[str, Any]]
pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(180)]


def manifest(recipe: Path, views: list[dict[str, Any]]) -> str:
    """What the platform tells a pipeline."""
    service = FeatureServiceSpec.model_validate(yaml.safe_load((recipe / "features" / "service.yaml").read_text()))
    specs = {view["name"]: ViewSpec.model_validate(view) for view in views}
    lookups = []
    for lookup in service.lookups:
        view = specs[lookup.view]
        lookups.append(
            {
                "view": view.name,
                "version": "0" * 64,
                "keys": dict(lookup.keys),
                "columns": [{"name": column.name, "dtype": column.dtype} for column in view.columns],
                "ttl_s": None if view.ttl is None else view.ttl.total_seconds(),
            }
        )
    document = {
        "loop": "flight-delay",
        "lookups": lookups,
        "request": [{"name": column.name, "dtype": column.dtype} for column in service.request],
        "derived": dict(service.derived),
        "label_time": service.label_time,
        "pins": {
            "dataset_version": "1" * 64,
            "view_versions": {name: "0" * 64 for name in specs},
            "code": "2" * 64,
            "seed": 7,
            "parameters": {},
        },
    }
    return json.dumps(document, sort_keys=True)


@pytest.fixture
def training_set(database: duckdb.DuckDBPyConnection, as_known: Join, tmp_path: Path) -> Path:
    """Every fifth labelled flight of the first three months, joined as the platform does, in a file."""
    database.execute(
        """CREATE TABLE labels AS SELECT * EXCLUDE (n), 'batch:' || n AS item_id FROM (
            SELECT carrier, flight, origin, dest, tailnum, distance, scheduled_departure, time_hour,
                arr_delayed AS label, row_number() OVER (ORDER BY scheduled_departure, carrier, flight, origin) AS n
            FROM flights WHERE scheduled_departure < '2013-04-01 00:00:00+00' AND arr_delayed IS NOT NULL
        ) WHERE n % 5 = 0"""
    )
    table = as_known(database)
    for view in ("weather_hourly", "plane", "route_recent", "flight_recent"):
        first = next(name for name in table.column_names if name.startswith(f"{view}__"))
        times = pc.if_else(pc.is_valid(table[first]), table["scheduled_departure"], None)
        table = table.append_column(f"{view}__event_ts", times)
    path = tmp_path / "training_set.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture
def run(recipe: Path, environments: Path, views: list[dict[str, Any]], training_set: Path, tmp_path: Path) -> Run:
    """Run the pipeline once in the training environment."""
    python = environments / "training" / "bin" / "python"
    if not python.exists():
        pytest.skip("the training environment is not there")

    def once(name: str, **parameters: Any) -> dict[str, Any]:
        root = tmp_path / name
        root.mkdir()
        given = {"training_set": str(training_set), "label": "arr_delayed", "manifest": manifest(recipe, views)}
        order = root / "order.json"
        package = root / "package.tar"
        told = {"recipe": str(recipe), "root": str(root), "package": str(package)}
        order.write_text(json.dumps(told | {"arguments": given | {"num_rounds": 40} | parameters}))
        command = [str(python), str(recipe / "tests" / "run_pipeline.py"), str(order)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        told = json.loads(done.stdout.splitlines()[-1])
        return {**told, "package": package}

    return once


def test_the_same_inputs_give_the_same_package(run: Run) -> None:
    first, second = run("first"), run("second")
    assert first["digest"] == second["digest"]
    assert first["package"].read_bytes() == second["package"].read_bytes()
    other = run("other", num_rounds=41)
    assert other["digest"] != first["digest"]
    package = read_model(first["package"])
    _check_package(package)
    _check_holdout(pq.read_table(first["holdout"]), package)
    assert first["metrics"]["auc"] == package.header.metrics.overall["auc"]
    _check_items(next((first["package"].parent / "out").rglob("*/items")), package)


def test_a_model_of_shuffled_labels_has_learned_nothing(run: Run) -> None:
    honest, shuffled = run("honest"), run("shuffled", shuffle_labels=True)
    assert honest["metrics"]["auc"] > 0.65
    assert 0.4 < shuffled["metrics"]["auc"] < 0.6
    assert pq.read_table(honest["holdout"]).equals(pq.read_table(shuffled["holdout"]))


def _check_package(package: ModelPackage) -> None:
    header = package.header
    assert package.baseline is not None and check(package) == header.signature
    assert header.name == "flight-delay" and header.label == "arr_delayed"
    hour = next(lookup for lookup in header.lookups if lookup.view == "weather_hourly").keys["time_hour"]
    assert (hour.op, hour.column) == ("floor_hour", "scheduled_departure")
    assert {lookup.view: lookup.ttl_s for lookup in header.lookups} == {
        "weather_hourly": 3 * 3600,
        "plane": None,
        "route_recent": 45 * 86400,
        "flight_recent": 45 * 86400,
    }
    read = {column for column in header.preprocessor().inputs if column != "scheduled_departure"}
    assert set(package.baseline) == read | {"prediction", "arr_delayed"}
    history = package.baseline["route_recent__late_share"]
    assert history.cell_counts()[-1] < 0.1 * history.total, "the time before any history is no baseline"
    assert set(header.metrics.slices["carrier"]) >= {"B6", "UA"}


def _check_holdout(holdout: pa.Table, package: ModelPackage) -> None:
    inputs = {field.name for field in package.header.signature.inputs}
    assert inputs | {"item_id", "arr_delayed", "carrier"} <= set(holdout.column_names)
    days = pc.unique(pc.floor_temporal(holdout["scheduled_departure"], unit="day"))
    assert len(days) == 14
    assert pc.max(days).as_py().isoformat().startswith("2013-03-31")
    assert len(pc.unique(holdout["item_id"])) == holdout.num_rows


def _check_items(path: Path, package: ModelPackage) -> None:
    """The figures in the package are those of the item-level table."""
    table, figures = pq.read_table(path), package.header.metrics
    assert table.column_names == ["item_id", "slice", "metric", "value"]

    def column(metric: str, slice_: str) -> Any:
        chosen = (pc.field("metric") == metric) & (pc.field("slice") == slice_)
        return table.filter(chosen)["value"].to_numpy()

    for slice_, told in (("", figures.overall), ("carrier=UA", figures.slices["carrier"]["UA"])):
        sample = binary.sample(column("label", slice_), column("prediction", slice_))
        assert told == {name: find(name).value(sample) for name in ("auc", "logloss", "brier")} | {"rows": sample.rows}
        assert column("brier", slice_).mean() == pytest.approx(told["brier"])
