"""Specs of kinds: short spellings, one error per mistake, the schema, and who looks at quality."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from capstan_contracts.errors import place_of
from capstan_contracts.kinds.gates import ChampionGate, FormatGate, MetricGate, SizeGate, SliceGate
from capstan_contracts.loop import Loop

QUALITY = {"metric": "auc", "min": 0.65}


def loop_with(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "capstan.dev/v1alpha1",
        "kind": "Loop",
        "metadata": {"name": "delay"},
        "spec": {
            "dataset": {"name": "flights", "contract": {}, "keys": ["id"], "eventTime": "at"},
            "features": {"service": "delay_v1"},
            "training": {"pipeline": "pipeline.py:train", "label": "late"},
            "gates": [QUALITY],
        }
        | spec,
    }


def mistakes(**spec: Any) -> list[tuple[str, str]]:
    """(place, rule) of each error, as the command line prints them."""
    with pytest.raises(ValidationError) as refused:
        Loop.model_validate(loop_with(**spec))
    return [(place_of(error["loc"]), error["msg"]) for error in refused.value.errors()]


def test_short_spellings_are_the_kinds_that_they_were() -> None:
    rule = {"metric": "auc", "confidence": 0.9}
    gates = [QUALITY, {"noWorseThanChampion": rule}, {"slice": "carrier", "metric": "auc", "maxDrop": 0.1}]
    loop = Loop.model_validate(loop_with(gates=[*gates, {"format": "native"}, {"kind": "size", "maxBytes": 5}]))
    assert loop.spec.gates == [
        MetricGate(metric="auc", min=0.65),
        ChampionGate(metric="auc", confidence=0.9),
        SliceGate(slice="carrier", metric="auc", max_drop=0.1),
        FormatGate(),
        SizeGate(max_bytes=5),
    ]
    written = loop.model_dump(mode="json", by_alias=True)
    assert [gate["kind"] for gate in written["spec"]["gates"]] == ["metric", "champion", "slice", "format", "size"]
    assert Loop.model_validate(written) == Loop.model_validate_json(loop.model_dump_json(by_alias=True)) == loop


@pytest.mark.parametrize(
    ("gate", "place", "said"),
    [
        ({"metricc": "auc", "min": 0.65}, ".metricc", "no gate is written with 'metricc'; did you mean 'metric'?"),
        ({"kind": "metrik", "metric": "auc"}, ".kind", "no kind of gate is called 'metrik'; did you mean 'metric'?"),
        ({"metric": "aucc", "min": 0.6}, ".metric", "no metric 'aucc'; did you mean 'auc'?"),
        ({"metric": "auc", "min": 0.6, "format": "native"}, "", "'format' and 'metric' are two gates"),
        ({"slice": "a", "noWorseThanChampion": {}}, "", "'noWorseThanChampion' and 'slice' are two gates"),
        ({"metric": "auc", "mim": 0.6}, ".mim", "'mim' is no field of a gate of kind 'metric'; did you mean 'min'?"),
        ({"metric": "auc"}, "", "a metric gate has exactly one of min and max"),
        ({"metric": "auc", "min": "high"}, ".min", "Input should be a valid number"),
        ({"noWorseThanChampion": {"metrc": "auc"}}, ".noWorseThanChampion.metrc", "did you mean 'metric'?"),
        ({"noWorseThanChampion": {"metric": "auk"}}, ".noWorseThanChampion.metric", "did you mean 'auc'?"),
        ({"noWorseThanChampion": 3}, ".noWorseThanChampion", "a gate is a mapping of fields"),
        ({"noWorseThanChampion": {}, "confidence": 0.9}, ".confidence", "it belongs inside"),
        ({"kind": "metric", "slice": "carrier"}, ".slice", "'slice' is no field of a gate of kind 'metric'"),
        ({"knd": "size"}, ".knd", "did you mean 'kind'?"),
        ({"kind": None}, ".kind", "a gate names its `kind`; there are: approval, champion, format"),
        ({"kind": "latency"}, "", "a latency gate has p50Ms, p99Ms or both"),
        ({}, "", "a gate names its `kind` (approval, champion"),
        ("auc", "", "a gate is a mapping of fields"),
    ],
)
def test_a_mistyped_gate_is_one_error_with_place_word_and_the_nearest_right_one(
    gate: Any, place: str, said: str
) -> None:
    ((where, rule),) = mistakes(gates=[QUALITY, gate])
    assert where == f"spec.gates[1]{place}"
    assert said in rule


@pytest.mark.parametrize(
    ("statistic", "place", "said"),
    [
        ("psy", ".kind", "no kind of statistic is called 'psy'; did you mean 'psi'?"),
        (
            "wasserstein",
            ".categorical",
            "wasserstein does not compare categorical columns; write categorical: with one",
        ),
        ({"numeric": "wassertein"}, ".numeric.kind", "did you mean 'wasserstein'?"),
        ({"numric": "psi"}, ".numric", "'numric' is no field of a choice of statistics; did you mean 'numeric'?"),
        ({"numeric": {"kind": "psi", "flor": 1}}, ".numeric.flor", "did you mean 'floor'?"),
        (3, "", "a statistic is a mapping of fields"),
    ],
)
def test_a_mistyped_statistic_is_one_error(statistic: Any, place: str, said: str) -> None:
    ((where, rule),) = mistakes(monitoring={"drift": {"statistic": statistic}})
    assert where == f"spec.monitoring.drift.statistic{place}"
    assert said in rule


def test_statistics_may_differ_and_then_each_has_its_floor() -> None:
    def drift(**fields: Any) -> Any:
        return Loop.model_validate(loop_with(monitoring={"drift": fields})).spec.monitoring.drift

    both = drift(statistic="psi", floor=0.4)
    assert (both.floor_of("numeric"), both.floor_of("categorical")) == (0.4, 0.4)
    assert drift().floor_of("numeric") is None  # the statistic's own
    chosen = {"numeric": {"kind": "wasserstein", "floor": 0.3}, "categorical": "chi-square"}
    two = drift(statistic=chosen)
    assert (two.statistic.of("numeric").kind, two.floor_of("numeric"), two.floor_of("categorical")) == (
        "wasserstein", 0.3, None,
    )  # fmt: skip
    ((where, rule),) = mistakes(monitoring={"drift": {"statistic": chosen, "floor": 0.4}})
    assert where == "spec.monitoring.drift.floor" and "have different scales" in rule


def test_a_loop_says_who_looks_at_quality() -> None:
    native = [{"format": "native"}]
    ((where, rule),) = mistakes(gates=native)
    assert where == "spec.gates" and "write `quality: none`" in rule
    assert Loop.model_validate(loop_with(gates=native, quality="none")).spec.quality == "none"
    assert [where for where, _ in mistakes(quality="none")] == ["spec.quality"]


@pytest.mark.parametrize(
    "short", [QUALITY, {"noWorseThanChampion": {"metric": "auc"}}, {"kind": "latency", "p99Ms": 5}]
)
def test_the_json_schema_takes_what_the_parser_takes(short: Any) -> None:
    schema = Loop.model_json_schema(by_alias=True)
    drift = {"statistic": {"numeric": "wasserstein", "categorical": {"kind": "chi-square"}}}
    good = loop_with(gates=[QUALITY, short], monitoring={"drift": drift})
    jsonschema.validate(good, schema)
    jsonschema.validate(loop_with(monitoring={"drift": {"statistic": "psi"}}), schema)
    for gate in ({"metricc": "auc", "min": 0.6}, {"kind": "metrik"}, {"metric": "auc", "format": "native"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(loop_with(gates=[gate]), schema)
    kinds = schema["$defs"]["LoopSpec"]["properties"]["gates"]["items"]["oneOf"]
    assert {one["properties"]["kind"]["const"] for one in kinds if "kind" in one["properties"]} == {
        "approval", "champion", "format", "latency", "metric", "schema", "size", "slice",
    }  # fmt: skip
