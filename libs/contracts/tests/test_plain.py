"""A loop without features: its feature service follows from what its dataset declares."""

from __future__ import annotations

from typing import Any

import pytest

from capstan_contracts.loop import Loop
from capstan_contracts.plain import NoPlainFeatures, plain_definitions


def loop(columns: dict[str, str], **dataset: Any) -> Loop:
    trips = {"name": "trips", "contract": "c.json", "keys": ["id"], "eventTime": "at", "columns": columns, **dataset}
    return Loop.model_validate(
        {
            "apiVersion": "capstan.dev/v1alpha1",
            "kind": "Loop",
            "metadata": {"name": "2nd-loop"},
            "spec": {
                "dataset": trips,
                "training": {"pipeline": "pipeline.py:train", "label": "late"},
                "gates": [{"metric": "auc", "min": 0.6}],
            },
        }
    )


def test_a_caller_sends_what_is_declared_but_for_label_and_known_at() -> None:
    declared = {
        "id": "int64",
        "fare": "decimal(18,2)",
        "day": "date",
        "zone": "string",
        "late": "bool",
        "seen": "timestamp",
    }
    made = plain_definitions(loop(declared, knownAt="seen"))
    assert made.views == [] and made.service.lookups == [] and made.service.label_time == "at"
    assert made.service.name == "_2nd_loop"
    dtypes = {column.name: column.dtype for column in made.service.request}
    assert dtypes == {"at": "timestamp", "id": "int64", "fare": "float64", "day": "timestamp", "zone": "string"}


def test_what_is_not_declared_or_no_feature_is_named() -> None:
    with pytest.raises(NoPlainFeatures) as key:
        plain_definitions(loop({"fare": "float64"}))
    assert key.value.place == "spec.dataset.columns.id"
    with pytest.raises(NoPlainFeatures, match=r"columns.raw: binary is stored, but no model reads it"):
        plain_definitions(loop({"id": "int64", "raw": "binary"}))
