"""A small package with its training set, log segments, label files and a loop: what monitoring lives on, made here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import LoopPart
from capstan_formats.id_range import IdRange, id_number
from capstan_formats.preprocess import KeySource
from capstan_formats.segments import SegmentWriter
from capstan_formats.sketches import BaselineColumn, CategorySketch, NumericSketch, Role
from capstan_packages.fields import EntityLookup, Metrics, Pins
from capstan_packages.signature import InputField, Signature, outputs_of
from capstan_testkit.log_records import log_record, new_ids
from capstan_testkit.packages import build_package

DAY = timedelta(days=1)
START = datetime(2013, 3, 1, tzinfo=UTC)
COLUMNS = ("delay", "origin", "weather__temp")
FEATURES: list[dict[str, Any]] = [
    {"op": "numeric", "column": "delay"},
    {"op": "category", "column": "origin", "vocabulary": ["EWR", "JFK", "LGA"]},
    {"op": "numeric", "column": "weather__temp"},
]


def us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Made:
    """A package, the training set it was made from, and their digests once stored."""

    package: Path
    training_set: Path


def draw(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> dict[str, list[Any]]:
    """Feature values of a day; `shift` moves delay and prediction."""
    delay = random.normal(10 + shift, 5, rows)
    return {
        "delay": delay.tolist(),
        "origin": random.choice(["EWR", "JFK", "LGA"], rows, p=[0.5, 0.3, 0.2]).tolist(),
        "weather__temp": [None if one < 0.05 else float(one * 40) for one in random.random(rows)],
        "prediction": (1 / (1 + np.exp(-(delay - 10) / 5))).tolist(),
    }


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    import lightgbm  # noqa: PLC0415 - 200 MB that only the tests that build a package pay for

    folder = tmp_path_factory.mktemp("package")
    random = np.random.default_rng(3)
    seen = draw(random, 4000)
    matrix = np.column_stack([seen["delay"], random.integers(0, 3, 4000), random.random(4000)])
    label = (random.random(4000) < np.array(seen["prediction"])).astype(int)
    data = lightgbm.Dataset(matrix, label, feature_name=list(COLUMNS))
    settings = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbosity": -1, "seed": 1}
    text = lightgbm.train(settings, data, num_boost_round=5).model_to_string().encode()
    columns = {
        "delay": BaselineColumn(Role.FEATURE, NumericSketch.build(seen["delay"])),
        "origin": BaselineColumn(Role.FEATURE, CategorySketch.build(seen["origin"])),
        "weather__temp": BaselineColumn(Role.FEATURE, NumericSketch.build(seen["weather__temp"])),
        "prediction": BaselineColumn(Role.PREDICTION, NumericSketch.build(seen["prediction"])),
        "late": BaselineColumn(Role.LABEL, NumericSketch.build(label.tolist())),
    }
    built = build_package(folder, FEATURES, model=text, baseline=columns, **_header_fields())
    table = pa.table({name: seen[name] for name in COLUMNS} | {"label": label})
    pq.write_table(table, folder / "training_set.parquet")
    return Made(built.path, folder / "training_set.parquet")


def _header_fields() -> dict[str, Any]:
    inputs = (
        InputField("delay", "float64"),
        InputField("origin", "string"),
        InputField("departure", "timestamp"),
        InputField("weather__temp", "float64", "weather"),
    )
    return {
        "signature": Signature(inputs, outputs_of("binary")),
        "lookups": (EntityLookup("weather", "ab" * 32, {"origin": KeySource("origin")}, ("weather__temp",), 3600),),
        "label": "late",
        "metrics": Metrics({"auc": 0.7}, {}),
        "pins": Pins("0" * 64, {"weather": "ab" * 32}, "1" * 64, {}, 7),
    }


@dataclass
class Day:
    """Predictions of one day, and their outcomes: drawn from the predictions, so the model is right on average."""

    start: datetime
    rows: list[dict[str, Any]]
    late: list[int]
    flights: list[int]
    package: str
    version: int = 1

    def segment(self, target: Path, *, rows: slice = slice(None), package: str | None = None) -> Path:
        """Write a closed segment of these rows."""
        with SegmentWriter(target) as writer:
            chosen = self.rows[rows]
            for first in range(0, len(chosen), 50):
                part = chosen[first : first + 50]
                ids = IdRange(id_number(part[0]["prediction_id"]), len(part))
                about: dict[str, Any] = {"model": "delay", "deployment": "delay", "version": self.version}
                writer.append(log_record(part, ids=ids, package=package or self.package, **about))
            writer.close()
        return target

    def labels(self, target: Path, *, never: int = 0, flip: bool = False) -> Path:
        """Write the day as a batch of the label dataset; the first `never` rows have no outcome."""
        outcome = [None if index < never else (1 - late if flip else late) for index, late in enumerate(self.late)]
        table = pa.table({
            "flight": pa.array(self.flights, pa.int64()),
            "departure": pa.array([row["event_time"] for row in self.rows], pa.timestamp("us", "UTC")),
            "late": pa.array(outcome, pa.int64()),
        })  # fmt: skip
        pq.write_table(table, target)
        return target


def make_day(package: str, number: int, *, rows: int = 600, shift: float = 0.0, version: int = 1) -> Day:
    """The day `number` days after START."""
    random = np.random.default_rng(100 + number)
    start, values = START + number * DAY, draw(random, rows, shift=shift)
    made: list[dict[str, Any]] = []
    ids = new_ids(rows)
    for index in range(rows):
        moment = start + index * DAY / rows
        inputs: dict[str, Any] = {
            "delay": values["delay"][index], "origin": values["origin"][index], "flight": number * 100_000 + index,
            "departure": moment.isoformat(),
        }  # fmt: skip
        made.append({
            "prediction_id": ids.text(index), "event_time": us(moment), "inputs": inputs,
            "looked_up": {"weather__temp": values["weather__temp"][index]},
            "outputs": {"prediction": values["prediction"][index]},
        })  # fmt: skip
    late = (random.random(rows) < np.array(values["prediction"])).astype(int).tolist()
    flights = [row["inputs"]["flight"] for row in made]
    return Day(start, made, late, flights, package, version)


@pytest.fixture
def make_part() -> Callable[..., LoopPart]:
    """Monitoring's part of a loop, as the registry sends it."""

    def build(
        generation: int = 1,
        *,
        loop: str = "delay",
        project: str = "default",
        task: str | None = None,
        **monitoring: Any,
    ) -> LoopPart:
        given = {"window": "1d", "drift": {"minRows": 200}, "labels": {"delay": "1d"}} | monitoring
        spec = {
            "dataset": {
                "name": "flights",
                "contract": "c.json",
                "keys": ["flight", "departure"],
                "eventTime": "departure",
            },
            "features": {"service": "delays", "definitions": "features/"},
            "training": {"pipeline": "pipeline.py:train", "label": "late", "task": task},
            "gates": [{"metric": "auc", "min": 0.6}],
            "monitoring": given,
        }
        service = {
            "name": "delays",
            "labelTime": "departure",
            "request": [{"name": "origin", "dtype": "string"}, {"name": "departure", "dtype": "timestamp"}],
            "lookups": [],
        }
        resolved = {
            "loop": {
                "apiVersion": "capstan.dev/v1alpha1",
                "kind": "Loop",
                "metadata": {"name": loop, "project": project},
                "spec": spec,
            },
            "definitions": {"service": service, "views": []},
            "code": "2" * 64,
        }
        return LoopPart.model_validate({"generation": generation, "resolved": resolved})

    return build


@dataclass
class Ingestion:
    """Stands for ingestion's REST: manifests by version."""

    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, version: str, batch: str, sha256: str, sequence: int) -> None:
        """A version whose only new file is `batch`."""
        file = {
            "partition": "p", "batch": batch, "path": "p.parquet", "md5": "0" * 32, "sha256": sha256, "bytes": 1,
            "rows": 1, "source": "p.parquet",
        }  # fmt: skip
        self.manifests[version] = {
            "dataset": "flights", "version": version, "sequence": sequence, "keys": ["flight", "departure"],
            "event_time": "departure", "columns": {}, "files": [file], "rows": 1, "dvc_md5": "0.dir",
            "created_at": "2026-01-01T00:00:00Z",
        }  # fmt: skip

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        found = self.manifests.get(request.url.path.rpartition("/")[2])
        if found is None or "/datasets/flights/versions/" not in request.url.path:
            return httpx.Response(404, json={"title": "none", "status": 404, "code": "not-found"})
        return httpx.Response(200, json=found)


@pytest.fixture
def ingestion() -> Ingestion:
    """An ingestion without versions."""
    return Ingestion()


@pytest.fixture
def day() -> Callable[..., Day]:
    """Builds days."""
    return make_day


@pytest.fixture
def start() -> datetime:
    """The first moment of day 0."""
    return START
