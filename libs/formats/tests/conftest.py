"""A small real LightGBM model, and a package folder around it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest

from capstan_formats.manifest import ModelManifest
from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role

FEATURES: list[dict[str, Any]] = [
    {"op": "numeric", "column": "distance"},
    {"op": "numeric", "column": "temp"},
    {"op": "category", "column": "carrier", "vocabulary": ["AA", "B6", "UA"]},
    {"op": "hour", "column": "scheduled", "tz": "America/New_York"},
]


@dataclass(frozen=True)
class Trained:
    """A model as LightGBM itself holds it, its text, and rows to ask about."""

    booster: lightgbm.Booster
    text: bytes
    rows: npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def trained() -> Trained:
    random = np.random.default_rng(7)
    rows = random.normal(size=(1500, len(FEATURES)))
    rows[:, 2] = random.integers(0, 3, len(rows))
    rows[::9, 1] = np.nan
    label = (rows[:, 0] + np.nan_to_num(rows[:, 1]) + (rows[:, 2] == 1) + random.normal(size=len(rows)) > 0).astype(int)
    names = ["distance", "temp", "carrier", "scheduled_hour"]
    data = lightgbm.Dataset(rows, label, feature_name=names, categorical_feature=[2])
    settings = {"objective": "binary", "num_leaves": 15, "num_threads": 1, "verbosity": -1, "seed": 1}
    booster = lightgbm.train(settings, data, num_boost_round=20)
    return Trained(booster, booster.model_to_string().encode(), rows)


def manifest_json() -> dict[str, Any]:
    return {
        "format": "capstan.model/1",
        "kind": "model",
        "engine": "lightgbm",
        "name": "flight-delay",
        "task": "binary",
        "inputs": [
            {"name": "distance", "dtype": "float64", "source": "request"},
            {"name": "carrier", "dtype": "string", "source": "request"},
            {"name": "origin", "dtype": "string", "source": "request"},
            {"name": "scheduled", "dtype": "timestamp", "source": "request"},
            {"name": "temp", "dtype": "float64", "source": "weather"},
        ],
        "outputs": [{"name": "delayed", "dtype": "float64"}],
        "features": deepcopy(FEATURES),
        "lookups": [
            {
                "view": "weather",
                "version": "ab" * 32,
                "keys": {"origin": "origin", "time_hour": {"op": "floor_hour", "column": "scheduled"}},
                "columns": ["temp"],
                "ttl_s": 10800,
            }
        ],
        "label": "arr_delayed",
        "metrics": {"overall": {"auc": 0.75}, "slices": {"carrier": {"AA": {"auc": 0.7, "lift": None}}}},
        "pins": {
            "dataset_version": "cd" * 32,
            "feature_views": {"weather": "ab" * 32},
            "code_digest": "ef" * 32,
            "parameters": {"num_leaves": 15},
            "seed": 1,
        },
        "license": "CC0-1.0",
    }


@pytest.fixture
def folder(tmp_path: Path, trained: Trained) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_bytes(ModelManifest.from_json(manifest_json()).to_bytes())
    (folder / "model.txt").write_bytes(trained.text)
    baseline = Baseline(
        {
            "distance": BaselineColumn(Role.FEATURE, NumericSketch.build([1.0, 2.0, None])),
            "carrier": BaselineColumn(Role.FEATURE, CategorySketch.build(["AA", "UA", None])),
            "delayed": BaselineColumn(Role.PREDICTION, NumericSketch.build([0.1, 0.9, 0.4])),
        }
    )
    (folder / "baseline.json").write_bytes(baseline.to_bytes())
    return folder


@pytest.fixture
def manifest() -> dict[str, Any]:
    return manifest_json()
