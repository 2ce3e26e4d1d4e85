"""model.json is checked member by member and as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from capstan_formats.manifest import ManifestError, ModelManifest
from capstan_formats.preprocess import KeySource

Change = Callable[[dict[str, Any]], object]


def test_round_trip(manifest: dict[str, Any]) -> None:
    model = ModelManifest.from_json(manifest)
    again = ModelManifest.from_bytes(model.to_bytes())
    assert again == model
    assert again.to_json() == manifest
    assert again.lookups[0].keys["time_hour"] == KeySource("scheduled", "floor_hour")
    assert again.preprocessor().columns == ["distance", "temp", "carrier", "scheduled_hour"]


def test_unknown_members_are_ignored(manifest: dict[str, Any]) -> None:
    assert ModelManifest.from_json({**manifest, "later": 1}).label == "arr_delayed"


def test_a_model_without_lookups(manifest: dict[str, Any]) -> None:
    manifest["lookups"] = []
    manifest["inputs"][4]["source"] = "request"
    assert ModelManifest.from_json(manifest).lookups == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(format="capstan.model/9"), "format must be"),
        (lambda m: m.update(engine="torch"), "engine must be 'lightgbm'"),
        (lambda m: m.update(kind="prompt"), "kind must be"),
        (lambda m: m.update(task="ranking"), "task must be"),
        (lambda m: m.update(name="Flight Delay"), "DNS label"),
        (lambda m: m.pop("pins"), "pins is missing"),
        (lambda m: m.update(label=7), "label must be str"),
        (lambda m: m.update(inputs=[]), "must not be empty"),
        (lambda m: m.update(inputs=["x"]), r"inputs\[0\] must be an object"),
        (lambda m: m["inputs"].append(m["inputs"][0]), "'distance' appears twice"),
        (lambda m: m["inputs"][0].update(dtype="decimal"), r"inputs\[0\].dtype must be one of"),
        (lambda m: m["inputs"][0].update(source="../x"), r"inputs\[0\].source"),
        (lambda m: m["inputs"][0].update(name=""), r"inputs\[0\].name must be 1 to 256"),
        (lambda m: m["inputs"].pop(0), "features read 'distance'"),
        (lambda m: m["features"][0].update(op="eval"), "unknown op 'eval'"),
        (lambda m: m["lookups"].append(m["lookups"][0]), "'weather' appears twice"),
        (lambda m: m["lookups"][0].update(version="latest"), "version must be a sha256"),
        (lambda m: m["lookups"][0].update(ttl_s=0), "ttl_s must be above 0"),
        (lambda m: m["lookups"][0].update(ttl_s=True), "ttl_s must be"),
        (lambda m: m["lookups"][0].update(keys={}), "keys must not be empty"),
        (lambda m: m["lookups"][0].update(keys={"origin": "temp"}), "'temp' is not a request input"),
        (lambda m: m["lookups"][0].update(keys={"origin": {"op": "hash", "column": "origin"}}), "unknown op 'hash'"),
        (lambda m: m["lookups"][0].update(view="request"), "not the name of a view"),
        (lambda m: m["lookups"][0].update(columns=["temp", "wind"]), "column 'wind' of view 'weather'"),
        (lambda m: m.update(lookups=[]), "column 'temp' of view 'weather'"),
        (lambda m: m["metrics"]["overall"].update(auc="good"), "metrics.overall.auc must be a number"),
        (lambda m: m["metrics"].update(slices={"carrier": {"AA": 1}}), "metrics.slices.carrier.AA must be an object"),
        (lambda m: m["pins"].update(seed=1.5), "pins.seed must be int"),
        (lambda m: m["pins"].update(feature_views={"weather": 1}), "pins.feature_views"),
    ],
)
def test_what_is_refused(manifest: dict[str, Any], change: Change, says: str) -> None:
    change(manifest)
    with pytest.raises(ManifestError, match=says):
        ModelManifest.from_json(manifest)


def test_nan_is_never_written(manifest: dict[str, Any]) -> None:
    manifest["metrics"]["overall"]["auc"] = float("nan")
    with pytest.raises(ManifestError, match="cannot be written as JSON"):
        ModelManifest.from_json(manifest).to_bytes()
