"""model.json is checked member by member and as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from capstan_formats.preprocess import KeySource
from capstan_packages.draft import draft
from capstan_packages.errors import HeaderError, PackageError
from capstan_packages.fields import Requirement
from capstan_packages.header import parse
from capstan_packages.kinds.model import KIND, ModelHeader
from capstan_packages.reader import header_of
from capstan_packages.signature import OutputField, outputs_of

Change = Callable[[dict[str, Any]], object]


def read(source: dict[str, Any]) -> ModelHeader:
    return KIND.read(parse(json.dumps(source).encode()))


def test_round_trip(source: dict[str, Any]) -> None:
    model = read(source)
    again = header_of(model.to_bytes())
    assert again == model
    assert again.to_json() == source
    assert model.lookups[0].keys["time_hour"] == KeySource("scheduled", "floor_hour")
    assert model.preprocessor().columns == ["distance", "temp", "carrier", "scheduled_hour"]
    assert model.requires == (Requirement("base", "model", "ab" * 32),)
    assert model.files == ("model.json", "a.bin", "baseline.json", "z.bin")


def test_unknown_members_are_ignored(source: dict[str, Any]) -> None:
    assert read({**source, "later": 1}).label == "arr_delayed"


def test_a_model_without_lookups(source: dict[str, Any]) -> None:
    source["lookups"] = []
    source["signature"]["inputs"][4]["source"] = "request"
    assert read(source).lookups == ()


def test_a_draft_needs_little_and_fits_its_features() -> None:
    features: list[dict[str, Any]] = [
        {"op": "numeric", "column": "a"},
        {"op": "category", "column": "b", "vocabulary": ["x"]},
        {"op": "category", "column": "c", "vocabulary": [1]},
        {"op": "hour", "column": "d"},
        {"op": "weekday", "column": "d"},
    ]
    made = draft(features, engine="onnx", members=["model.onnx"], task="multiclass", classes=5, name="mine")
    types = {"a": "float64", "b": "string", "c": "int64", "d": "timestamp"}
    assert {field.name: field.dtype for field in made.signature.inputs} == types
    assert made.signature.outputs == outputs_of("multiclass", 5)
    assert (made.signature.classes, made.name, made.members) == (5, "mine", ("model.onnx",))


def test_what_each_task_answers() -> None:
    assert outputs_of("binary") == outputs_of("regression") == (OutputField("prediction", "float64"),)
    probabilities = OutputField("probabilities", "float64", 3)
    assert outputs_of("multiclass", 3) == (OutputField("prediction", "int64"), probabilities)


@pytest.mark.parametrize("form", ["capstan.model/1", "capstan.model/0"])
def test_an_earlier_form_says_to_train_again(source: dict[str, Any], form: str) -> None:
    earlier = {**source, "format": form, "licence": source.pop("license")}
    with pytest.raises(PackageError, match="has the earlier form .*, which is no longer read; train the model again"):
        header_of(json.dumps(earlier).encode())


@pytest.mark.parametrize(("kind", "says"), [("modle", "did you mean 'model'"), (7, "kind must be str")])
def test_an_unknown_kind_names_the_nearest(source: dict[str, Any], kind: object, says: str) -> None:
    with pytest.raises(PackageError, match=says) as refused:
        header_of(json.dumps({**source, "kind": kind}).encode())
    assert refused.value.place == "model.json"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(format="capstan.package/9"), "format must be"),
        (lambda m: m.update(engine="Light GBM"), "engine must be a word"),
        (lambda m: m.update(task=""), "task must be a word"),
        (lambda m: m.update(license=""), "license must be 1 to 256"),
        (lambda m: m.update(members=[1]), "members must be names"),
        (lambda m: m.update(members=["../a"]), "not a plain file name"),
        (lambda m: m.update(members=["a/b"]), "not a plain file name"),
        (lambda m: m.update(members=["model.json"]), "not a plain file name besides model.json"),
        (lambda m: m.update(members=["a", "a"]), "'a' appears twice"),
        (lambda m: m.update(members=[f"m{index}" for index in range(1001)]), "more than 1000"),
        (lambda m: m.update(baseline="yes"), "baseline must be bool"),
        (lambda m: m["requires"].append(m["requires"][0]), "'base' appears twice"),
        (lambda m: m["requires"][0].update(package="latest"), r"requires\[0\].package must be the sha256"),
        (lambda m: m["requires"][0].update(kind="Model!"), r"requires\[0\]: role and kind must be words"),
        (lambda m: m["signature"]["outputs"][0].update(width=0), r"outputs\[0\].width must be from 1"),
        (lambda m: m.pop("signature"), "signature is missing"),
        (lambda m: m.update(name="Flight Delay"), "DNS label"),
        (lambda m: m.pop("pins"), "pins is missing"),
        (lambda m: m.update(label=7), "label must be str"),
        (lambda m: m["signature"].update(inputs=[]), "must not be empty"),
        (lambda m: m["signature"].update(inputs=["x"]), r"inputs\[0\] must be an object"),
        (lambda m: m["signature"]["inputs"].append(m["signature"]["inputs"][0]), "'distance' appears twice"),
        (lambda m: m["signature"]["inputs"][0].update(dtype="decimal"), r"inputs\[0\].dtype must be one of"),
        (lambda m: m["signature"]["inputs"][0].update(source="../x"), r"inputs\[0\].source"),
        (lambda m: m["signature"]["inputs"][0].update(name=""), r"inputs\[0\].name must be 1 to 256"),
        (lambda m: m["signature"]["inputs"].pop(0), "features read 'distance'"),
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
def test_what_is_refused(source: dict[str, Any], change: Change, says: str) -> None:
    change(source)
    with pytest.raises(HeaderError, match=says):
        read(source)


def test_nan_is_never_written(source: dict[str, Any]) -> None:
    source["metrics"]["overall"]["auc"] = float("nan")
    with pytest.raises(HeaderError, match="cannot be written as JSON"):
        KIND.read(source).to_bytes()
