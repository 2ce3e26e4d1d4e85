"""A loop that says its task: metrics of another one are refused where they stand, before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from capstan_contracts.kinds.metrics import DEFAULT_METRIC, METRICS_BY_TASK, misfit
from capstan_contracts.loop import LoopSpec

GATE = {"metric": "rmse", "max": 6}


def spec(task: str | None, gates: list[Any], **more: Any) -> LoopSpec:
    training = {"pipeline": "pipeline.py:train", "label": "kwh"} | ({} if task is None else {"task": task})
    dataset = {"name": "flats", "contract": "c.json", "keys": ["flat"], "eventTime": "day"}
    return LoopSpec.model_validate({"dataset": dataset, "training": training, "gates": gates, **more})


@pytest.mark.parametrize(
    ("gate", "place"),
    [
        ({"metric": "auc", "min": 0.6}, ("gates", 1, "metric")),
        ({"noWorseThanChampion": {"metric": "auc"}}, ("gates", 1, "metric")),
        ({"slice": "area", "metric": "auc", "maxDrop": 0.1}, ("gates", 1, "metric")),
    ],
)
def test_a_gate_of_another_task_is_refused_at_its_place(gate: dict[str, Any], place: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        spec("regression", [GATE, gate])
    [error] = refused.value.errors()
    assert error["loc"] == place
    assert error["msg"] == "auc is no metric of the task regression; metrics of it: mae, mape, pinball, r2, rmse"


def test_live_quality_of_another_task_is_refused_at_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        spec("regression", [GATE], monitoring={"quality": {"metric": "f1", "min": 0.5}})
    [error] = refused.value.errors()
    assert error["loc"] == ("monitoring", "quality", "metric") and "f1 is no metric" in error["msg"]


def test_a_loop_that_says_no_task_is_not_taken_for_a_binary_one() -> None:
    assert spec(None, [GATE]).training.task is None
    assert spec("regression", [GATE]).training.task == "regression"
    with pytest.raises(ValidationError, match="task"):
        spec("ranking", [GATE])


def test_the_default_metric_of_each_task_is_one_of_its_own() -> None:
    assert all(metric in METRICS_BY_TASK[task] for task, metric in DEFAULT_METRIC.items())
    assert misfit("auc", "binary") is None and misfit("a-metric-from-outside", "binary") is None
