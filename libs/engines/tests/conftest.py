"""Small real LightGBM models, as LightGBM itself holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest

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
def train() -> Callable[..., Trained]:
    """`train(objective, classes=None)`: a model of four columns, one of them a category, with missing values."""

    def train(objective: str, classes: int | None = None, **settings: Any) -> Trained:
        random = np.random.default_rng(7)
        rows = random.normal(size=(1500, len(FEATURES)))
        rows[:, 2] = random.integers(0, 3, len(rows))
        rows[::9, 1] = np.nan
        raw = rows[:, 0] + np.nan_to_num(rows[:, 1]) + (rows[:, 2] == 1) + random.normal(size=len(rows))
        label = raw if objective == "regression" else np.abs(raw)
        if objective in ("binary", "cross_entropy"):
            label = (raw > 0).astype(int)
        if classes is not None:
            label = np.digitize(raw, np.quantile(raw, np.arange(1, classes) / classes))
            settings["num_class"] = classes
        names = ["distance", "temp", "carrier", "scheduled_hour"]
        data = lightgbm.Dataset(rows, label, feature_name=names, categorical_feature=[2])
        common = {"objective": objective, "num_leaves": 15, "num_threads": 1, "verbosity": -1, "seed": 1}
        booster = lightgbm.train(common | settings, data, num_boost_round=20)
        return Trained(booster, booster.model_to_string().encode(), rows)

    return train


@pytest.fixture(scope="session")
def trained(train: Callable[..., Trained]) -> Trained:
    return train("binary")
