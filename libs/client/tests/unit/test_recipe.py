"""A recipe folder becomes a resolved loop, with features or without."""

from __future__ import annotations

from pathlib import Path

import pytest

from capstan_client.sdk.recipe import resolve
from capstan_servicekit.errors import InvalidSpec

LOOP = """
apiVersion: capstan.dev/v1alpha1
kind: Loop
metadata: {name: plain}
spec:
  dataset:
    name: trips
    contract: contract.json
    keys: [id]
    eventTime: at
    columns: {COLUMNS}
  training: {pipeline: "pipeline.py:train", label: late}
  gates: [{metric: auc, min: 0.6}]
"""


def recipe(folder: Path, columns: str) -> Path:
    (folder / "contract.json").write_text('{"name": "trips", "expectations": []}')
    (folder / "pipeline.py").write_text("def train() -> None: ...\n")
    (folder / "loop.yaml").write_text(LOOP.replace("COLUMNS", columns))
    return folder / "loop.yaml"


def test_a_loop_without_features_is_resolved_from_its_declared_columns(tmp_path: Path) -> None:
    resolved, archive = resolve(recipe(tmp_path, "id: int64, fare: float64, late: bool"))
    assert resolved.loop.spec.features is None and archive
    assert [column.name for column in resolved.definitions.service.request] == ["at", "id", "fare"]
    assert resolved.definitions.views == []


@pytest.mark.parametrize(
    ("columns", "place", "rule"),
    [
        ("fare: float64", "spec.dataset.columns.id", "declares the type of each key"),
        ("id: int64, raw: binary", "spec.dataset.columns.raw", "no model reads it"),
        ("id: integer", "spec.dataset.columns.id", "no type of a column"),
    ],
)
def test_what_the_columns_lack_is_one_error(tmp_path: Path, columns: str, place: str, rule: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolve(recipe(tmp_path, columns))
    (error,) = refused.value.errors
    assert error.place == place and rule in error.rule
