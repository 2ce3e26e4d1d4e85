"""A small package, an online store, a loop and a registry: what a deployment needs, made here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from capstan_contracts.loop import LoopPart
from capstan_formats.manifest import EntityLookup, InputField, Metrics, ModelManifest, OutputField, Pins
from capstan_formats.online import EntityRow, OnlineColumn, OnlineSchema, OnlineWriter
from capstan_formats.package import write_package
from capstan_formats.preprocess import KeySource
from capstan_formats.sketches import Baseline, BaselineColumn, NumericSketch, Role

HOUR = 3_600_000_000
NOON = 1_357_041_600_000_000  # 2013-01-01T12:00:00Z
RUN = "01890000-0000-7000-8000-00000000000a"
VIEW_VERSION = "ab" * 32


def booster_text(columns: list[str], shift: float) -> bytes:
    """A booster trained here; `shift` makes versions differ."""
    import lightgbm  # noqa: PLC0415 - 200 MB that only the tests that build a package pay for

    random = np.random.default_rng(7)
    matrix = random.normal(size=(400, len(columns)))
    label = (matrix[:, 0] + shift + random.normal(size=400) > 0).astype(float)
    data = lightgbm.Dataset(matrix, label, feature_name=columns)
    settings = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbosity": -1, "seed": 7}
    text: str = lightgbm.train(settings, data, num_boost_round=20).model_to_string()
    return text.encode()


def manifest(name: str, lookups: bool) -> ModelManifest:
    """Two plain columns, a time and, with `lookups`, the weather of the hour."""
    view = (
        EntityLookup(
            "weather",
            VIEW_VERSION,
            {"origin": KeySource("origin"), "time_hour": KeySource("departure", "floor_hour")},
            ("weather__temp", "weather__rain"),
            3 * 3600,
        ),
    )
    inputs = [
        InputField("delay", "float64"),
        InputField("distance", "int64"),
        InputField("origin", "string"),
        InputField("departure", "timestamp"),
    ]
    features: list[dict[str, Any]] = [
        {"op": "numeric", "column": "delay"},
        {"op": "numeric", "column": "distance"},
        {"op": "category", "column": "origin", "vocabulary": ["EWR", "JFK", "LGA"]},
        {"op": "hour", "column": "departure", "tz": "America/New_York"},
    ]
    if lookups:
        inputs += [InputField(name, "float64", "weather") for name in ("weather__temp", "weather__rain")]
        features += [{"op": "numeric", "column": name} for name in ("weather__temp", "weather__rain")]
    return ModelManifest(
        name=name,
        inputs=tuple(inputs),
        outputs=(OutputField("prediction", "float64"),),
        features=tuple(features),
        lookups=view if lookups else (),
        label="arr_delayed",
        metrics=Metrics({"auc": 0.7}, {}),
        pins=Pins("0" * 64, {"weather": VIEW_VERSION}, "1" * 64, {}, 7),
        license="Apache-2.0",
    )


@dataclass(frozen=True)
class Package:
    """A package file and its digest."""

    path: Path
    digest: str


@pytest.fixture(scope="session")
def make_package(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Package]:
    """Builds packages, each once."""
    made: dict[tuple[Any, ...], Package] = {}

    def build(shift: float = 0.0, *, lookups: bool = False, name: str = "delay") -> Package:
        key = (shift, lookups, name)
        if key not in made:
            folder = tmp_path_factory.mktemp("package")
            content = folder / "content"
            content.mkdir()
            described = manifest(name, lookups)
            columns = described.preprocessor().columns
            baseline = Baseline(
                {columns[0]: BaselineColumn(Role.FEATURE, NumericSketch.build(np.arange(100, dtype=np.float64)))}
            )
            (content / "model.json").write_bytes(described.to_bytes())
            (content / "model.txt").write_bytes(booster_text(columns, shift))
            (content / "baseline.json").write_bytes(baseline.to_bytes())
            target = folder / "package.tar"
            made[key] = Package(target, write_package(content, target))
        return made[key]

    return build


@pytest.fixture
def write_weather() -> Callable[..., None]:
    """Writes the weather view's online store below a home folder."""

    def write(home: Path, rows: Mapping[tuple[str, int], tuple[int, float | None, float | None]]) -> None:
        folder = home / "online" / "default"
        folder.mkdir(parents=True, exist_ok=True)
        schema = OnlineSchema(
            "weather",
            VIEW_VERSION,
            (OnlineColumn("origin", "string"), OnlineColumn("time_hour", "timestamp")),
            (OnlineColumn("temp", "float64"), OnlineColumn("rain", "float64")),
            3 * 3600,
        )
        with OnlineWriter(folder, schema) as writer:
            writer.write(EntityRow(key, at, at, tuple(values)) for key, (at, *values) in rows.items())
            writer.commit()

    return write


@pytest.fixture
def make_part() -> Callable[..., LoopPart]:
    """The serving part of a loop, as the registry sends it."""

    def build(generation: int = 1, *, loop: str = "delay", project: str = "default", **serving: Any) -> LoopPart:
        spec = {
            "dataset": {
                "name": "flights",
                "contract": "c.json",
                "keys": ["flight", "departure"],
                "eventTime": "departure",
            },
            "features": {"service": "delays", "definitions": "features/"},
            "training": {"pipeline": "pipeline.py:train", "label": "arr_delayed"},
            "gates": [{"metric": "auc", "min": 0.6}],
            "serving": serving,
        }
        view = {
            "name": "weather",
            "dataset": "weather",
            "keys": [{"name": "origin", "dtype": "string"}, {"name": "time_hour", "dtype": "timestamp"}],
            "eventTime": "time_hour",
            "ttl": "3h",
            "columns": [{"name": "temp", "dtype": "float64"}],
            "sql": "SELECT 1",
        }
        service = {
            "name": "delays",
            "labelTime": "departure",
            "request": [{"name": "origin", "dtype": "string"}, {"name": "departure", "dtype": "timestamp"}],
            "derived": {"hour": "floor_hour(departure)"},
            "lookups": [{"view": "weather", "keys": {"origin": "origin", "time_hour": "hour"}}],
        }
        metadata = {"name": loop, "project": project}
        resolved = {
            "loop": {"apiVersion": "capstan.dev/v1alpha1", "kind": "Loop", "metadata": metadata, "spec": spec},
            "definitions": {"service": service, "views": [view]},
            "code": "2" * 64,
        }
        return LoopPart.model_validate({"generation": generation, "resolved": resolved})

    return build


@dataclass
class Registry:
    """Stands for the registry's REST: champions by (project, model)."""

    champions: dict[tuple[str, str], tuple[int, str, int]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    down: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        self.calls.append(request.url.path)
        _, _, _, project, _, model, *rest = request.url.path.split("/")
        if self.down:
            return httpx.Response(500, json={"title": "broken", "status": 500, "code": "internal"})
        found = self.champions.get((project, model))
        if found is None:
            return httpx.Response(404, json={"title": "none", "status": 404, "code": "not-found"})
        version, package, sequence = found
        now = "2026-01-01T00:00:00Z"
        if rest == ["champion"]:
            body = {"model": model, "version": version, "package": package, "since": now, "ledger_sequence": sequence}
        else:
            body = {"model": model, "version": version, "package": package, "run": RUN, "dataset": "flights"}
            body |= {"dataset_version": "0" * 64, "created_at": now}
        return httpx.Response(200, content=json.dumps(body))


@pytest.fixture
def registry() -> Registry:
    """A registry without champions."""
    return Registry()


@pytest.fixture
def row() -> dict[str, Any]:
    """One instance, as a caller sends it."""
    return {"delay": 3.5, "distance": 1400, "origin": "JFK", "departure": "2013-01-01T12:30:00Z", "flight": 1545}
