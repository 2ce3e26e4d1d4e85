"""A header that says everything, and the files of a small package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capstan_testkit.packages import build_content


@pytest.fixture
def source() -> dict[str, Any]:
    return {
        "format": "capstan.package/1",
        "kind": "model",
        "engine": "lightgbm",
        "name": "flight-delay",
        "task": "binary",
        "signature": {
            "inputs": [
                {"name": "distance", "dtype": "float64", "source": "request"},
                {"name": "carrier", "dtype": "string", "source": "request"},
                {"name": "origin", "dtype": "string", "source": "request"},
                {"name": "scheduled", "dtype": "timestamp", "source": "request"},
                {"name": "temp", "dtype": "float64", "source": "weather"},
            ],
            "outputs": [{"name": "prediction", "dtype": "float64", "width": 1}],
        },
        "features": [
            {"op": "numeric", "column": "distance"},
            {"op": "numeric", "column": "temp"},
            {"op": "category", "column": "carrier", "vocabulary": ["AA", "B6", "UA"]},
            {"op": "hour", "column": "scheduled", "tz": "America/New_York"},
        ],
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
        "members": ["z.bin", "a.bin"],
        "baseline": True,
        "requires": [{"role": "base", "kind": "model", "package": "ab" * 32}],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """model.json, baseline.json and model.txt."""
    return build_content(tmp_path / "unpacked")
