"""loop.yaml resolves, and what it names is there."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from capstan_client.sdk.recipe import resolve
from capstan_contracts.kinds.gates import SliceGate
from capstan_contracts.loop import ResolvedLoop


@pytest.fixture(scope="module")
def resolved(recipe: Path) -> tuple[ResolvedLoop, bytes]:
    return resolve(recipe / "loop.yaml")


def test_the_loop_uses_only_what_is_built(resolved: tuple[ResolvedLoop, bytes]) -> None:
    assert resolved[0].loop.not_built_yet() == []


def test_seasonal_columns_and_slices_are_columns_of_the_training_set(resolved: tuple[ResolvedLoop, bytes]) -> None:
    definitions, spec = resolved[0].definitions, resolved[0].loop.spec
    request = {column.name for column in definitions.service.request}
    features = {f"{view.name}__{column.name}" for view in definitions.views for column in view.columns}
    assert set(spec.monitoring.drift.seasonal) <= features
    assert {gate.slice for gate in spec.gates if isinstance(gate, SliceGate)} <= request
    assert set(spec.dataset.keys) <= request, "a prediction finds its label by the dataset's keys"
    assert {view.dataset for view in definitions.views} <= {spec.dataset.name, *(one.name for one in spec.sources)}


def test_keys_and_clocks_are_columns_that_the_contract_guards(resolved: tuple[ResolvedLoop, bytes]) -> None:
    spec = resolved[0].loop.spec
    for dataset in (spec.dataset, *spec.sources):
        assert isinstance(dataset.contract, dict)
        expectations = json.loads(json.dumps(dataset.contract["expectations"]))
        critical = [one for one in expectations if one["severity"] == "critical"]
        there = {one["kwargs"]["column"] for one in critical if one["type"] == "expect_column_values_to_not_be_null"}
        unique = [one["kwargs"] for one in critical if one["type"].endswith("to_be_unique")]
        assert {*dataset.keys, dataset.event_time} <= there
        assert [kwargs.get("column_list", [kwargs.get("column")]) for kwargs in unique] == [dataset.keys]


def test_the_archive_holds_code_and_no_data(resolved: tuple[ResolvedLoop, bytes]) -> None:
    with tarfile.open(fileobj=io.BytesIO(resolved[1])) as archive:
        names = set(archive.getnames())
    assert {"loop.yaml", "pipeline.py", "features/route_recent.sql", "contracts/flights.json"} <= names
    assert not [name for name in names if name.endswith(".parquet") or name.startswith(("demo/", "tests/"))]
