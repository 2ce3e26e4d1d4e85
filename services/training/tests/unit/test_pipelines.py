"""What a compiled pipeline declares, and how parameters are merged into arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from capstan_contracts.loop import LoopPart
from capstan_training.domain.part import TrainingPart, changes
from capstan_training.domain.pins import Pins, given
from capstan_training.domain.pipelines import (
    Parameter,
    Pipeline,
    PipelineError,
    arguments,
    check_parameters,
    describe,
    missing_parameters,
)

PIPELINE = Pipeline(
    "tiny",
    "0" * 64,
    2,
    {
        "training_set": Parameter("STRING", False),
        "seed": Parameter("NUMBER_INTEGER", True),
        "rate": Parameter("NUMBER_DOUBLE", True),
        "rounds": Parameter("NUMBER_INTEGER", False),
        "fast": Parameter("BOOLEAN", True),
        "extra": Parameter("STRUCT", True),
    },
)


def component(*artifacts: str) -> dict[str, Any]:
    return {"executorLabel": "exec-a", "outputDefinitions": {"artifacts": dict.fromkeys(artifacts, {})}}


def compiled(**changes: Any) -> dict[str, Any]:
    command = ["sh", "-ec", "python3 -m kfp.dsl.executor_main", "def f(): 'pip install' is only said here"]
    return {
        "pipelineInfo": {"name": "tiny"},
        "components": {
            "comp-a": component("package", "holdout"),
            "comp-loop": {"dag": {"tasks": {"inner": {"componentRef": {"name": "comp-a"}}}}},
        },
        "deploymentSpec": {"executors": {"exec-a": {"container": {"command": command}}}},
        "root": {
            "dag": {
                "tasks": {"a": {"componentRef": {"name": "comp-a"}}, "loop": {"componentRef": {"name": "comp-loop"}}}
            },
            "inputDefinitions": {
                "parameters": {
                    "b": {"parameterType": "STRING"},
                    "a": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1, "isOptional": True},
                }
            },
        },
        **changes,
    }


def test_a_compiled_pipeline_is_described() -> None:
    found = describe(compiled(), "d" * 64)
    assert (found.name, found.ir, found.steps) == ("tiny", "d" * 64, 2)
    assert found.parameters == {"a": Parameter("NUMBER_INTEGER", True), "b": Parameter("STRING", False)}
    assert Pipeline.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"components": {"comp-a": component("package")}}, "named 'holdout'"),
        ({"components": {}}, "named 'package'"),
        ({"root": {}}, "dag"),
        ({"pipelineInfo": {}}, "name"),
        ({"deploymentSpec": {"executors": {"exec-a": {"container": {"command": ["ls"]}}}}}, "container component"),
        (
            {
                "deploymentSpec": {
                    "executors": {
                        "exec-a": {"container": {"command": ["python3 -m pip install x; -m kfp.dsl.executor_main"]}}
                    }
                }
            },
            "install_kfp_package=False",
        ),
    ],
)
def test_a_pipeline_that_cannot_be_run_is_refused_with_its_reason(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PipelineError, match=sentence):
        describe(compiled(**change))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("nope", 1, "unknown; parameters of tiny: extra, fast, rate, rounds"),
        ("seed", 1, "is set by the platform"),
        ("rounds", 1.5, "a whole number"),
        ("rounds", True, "a whole number"),
        ("rounds", "1", "a whole number"),
        ("rate", float("nan"), "a number"),
        ("rate", float("inf"), "a number"),
        ("fast", 1, "true or false"),
        ("extra", "{}", "a default"),
    ],
)
def test_parameters_that_do_not_fit(name: str, value: Any, rule: str) -> None:
    ((place, found),) = check_parameters(PIPELINE, {name: value})
    assert place == name
    assert rule in found


def test_arguments_are_what_the_pipeline_declares() -> None:
    assert check_parameters(PIPELINE, {"rate": 1, "rounds": 3, "fast": True}) == []
    assert missing_parameters(PIPELINE, {}) == ["rounds"]
    found = arguments(PIPELINE, {"rate": 1, "rounds": 3}, {"seed": 7, "label": "late", "manifest": "{}"})
    assert found == {"rate": 1.0, "rounds": 3, "seed": 7}
    assert isinstance(found["rate"], float)


def test_the_manifest_holds_the_pins_and_nothing_of_the_run(make_part: Callable[..., LoopPart]) -> None:
    part = TrainingPart.of(make_part("c" * 64).resolved)
    assert TrainingPart.from_json(json.loads(json.dumps(part.to_json()))) == part
    pins = Pins("1" * 64, {"weather": "3" * 64, "flights": "1" * 64}, {"weather": "4" * 64}, "c" * 64, 7, {"rounds": 3})
    told = given("default", part, pins)
    manifest = json.loads(str(told.pop("manifest")))
    assert told == {"label": "late", "seed": 7, "holdout_days": 4}
    assert manifest == {
        "loop": "tiny",
        "project": "default",
        "lookups": [
            {
                "view": "weather",
                "version": "4" * 64,
                "keys": {"origin": "origin"},
                "columns": [{"name": "distance", "dtype": "float64"}],
                "ttl_s": 10800,
            }
        ],
        "request": [{"name": "sched", "dtype": "timestamp"}, {"name": "origin", "dtype": "string"}],
        "derived": {},
        "label_time": "sched",
        "pins": {
            "dataset_version": "1" * 64,
            "dataset_versions": {"flights": "1" * 64, "weather": "3" * 64},
            "view_versions": {"weather": "4" * 64},
            "code": "c" * 64,
            "seed": 7,
            "parameters": {"rounds": 3},
        },
    }
    shuffled = Pins(
        "1" * 64, {"flights": "1" * 64, "weather": "3" * 64}, {"weather": "4" * 64}, "c" * 64, 7, {"rounds": 3}
    )
    assert given("default", part, shuffled)["manifest"] == given("default", part, pins)["manifest"]


def test_changes_are_sentences(make_part: Callable[..., LoopPart]) -> None:
    old = TrainingPart.of(make_part("c" * 64, parameters={"rounds": 3}).resolved)
    new = TrainingPart.of(make_part("d" * 64, parameters={"rounds": 4}).resolved)
    assert changes(old, old) == []
    assert changes(None, new) == ["training: pipeline.py:train learns 'late', code dddddddddddd"]
    assert changes(old, new) == [
        "training: code cccccccccccc becomes dddddddddddd",
        "training: parameters {'rounds': 3} becomes {'rounds': 4}",
    ]


def test_sources_are_what_the_views_read(make_part: Callable[..., LoopPart]) -> None:
    assert TrainingPart.of(make_part("c" * 64).resolved).datasets == ("flights", "weather")


def test_the_pipeline_is_called_as_in_the_archive(make_part: Callable[..., LoopPart]) -> None:
    assert (
        TrainingPart.of(make_part("c" * 64, pipeline="./pipeline.py:train").resolved).pipeline_name
        == "pipeline.py:train"
    )
