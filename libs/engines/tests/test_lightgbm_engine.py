"""Packages of every task answer what LightGBM's own Booster answers; an objective of another task is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capstan_engines.family import check, load
from capstan_engines.lightgbm.booster_text import BoosterTextError, check_booster_text
from capstan_packages.errors import PackageError
from capstan_packages.models import read_model
from capstan_testkit.packages import booster_text, build_package, columns_of

FEATURES: list[dict[str, Any]] = [
    {"op": "numeric", "column": "distance"},
    {"op": "numeric", "column": "temp"},
    {"op": "category", "column": "carrier", "vocabulary": ["AA", "B6", "UA"]},
    {"op": "hour", "column": "scheduled", "tz": "America/New_York"},
]


@pytest.mark.parametrize(
    ("objective", "task", "classes"),
    [
        ("binary", "binary", None),
        ("cross_entropy", "binary", None),
        ("regression", "regression", None),
        ("regression_l1", "regression", None),
        ("poisson", "regression", None),
        ("multiclass", "multiclass", 4),
    ],
)
def test_same_answers_as_lightgbm(
    train: Callable[..., Any], tmp_path: Path, objective: str, task: str, classes: int | None
) -> None:
    made = train(objective, classes)
    expected = made.booster.predict(made.rows, num_threads=1)
    given = {"task": task, "classes": classes or 2, "model": made.text}
    model = load(read_model(build_package(tmp_path, FEATURES, **given).path))
    answer = model.predict(made.rows)
    if task == "multiclass":
        np.testing.assert_array_equal(answer["probabilities"], expected)
        np.testing.assert_array_equal(answer["prediction"], expected.argmax(axis=1))
        alone = [model.predict(made.rows[row : row + 1])["probabilities"][0] for row in range(50)]
    else:
        np.testing.assert_array_equal(answer["prediction"], expected)
        alone = [model.predict(made.rows[row : row + 1])["prediction"][0] for row in range(50)]
    np.testing.assert_array_equal(alone, expected[:50])
    model.close()


@pytest.mark.parametrize(
    ("given", "objective", "rule", "says"),
    [
        (
            {"task": "binary"},
            "regression",
            "objective",
            "one of the task 'regression', and the header says 'binary'",
        ),
        ({"task": "regression"}, "binary sigmoid:1", "objective", "one of the task 'binary'"),
        ({"task": "binary"}, "lambdarank", "objective", "no task has the objective 'lambdarank'"),
        ({"task": "multiclass"}, "multiclassova num_class:2", "objective", "'multiclassova'"),
        ({"task": "binary"}, "", "objective", "no task has the objective ''"),
    ],
)
def test_an_objective_of_another_task_is_refused(
    tmp_path: Path, given: dict[str, Any], objective: str, rule: str, says: str
) -> None:
    text = booster_text(columns_of(), task=given["task"]).replace(
        b"objective=", b"objective=" + objective.encode() + b" "
    )
    package = read_model(build_package(tmp_path, model=text if objective else _without_objective(text), **given).path)
    with pytest.raises(PackageError, match=says) as refused:
        check(package)
    assert (refused.value.place, refused.value.rule) == ("model.txt", rule)


def _without_objective(text: bytes) -> bytes:
    return b"\n".join(line for line in text.split(b"\n") if not line.startswith(b"objective="))


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    text = booster_text(columns_of(), task="multiclass", classes=3)
    package = read_model(build_package(tmp_path, task="multiclass", classes=4, model=text).path)
    with pytest.raises(PackageError, match="tells 3 classes apart, the header's probabilities have 4"):
        load(package)


def test_classes_without_a_tree_each_are_refused() -> None:
    text = booster_text(columns_of(), task="multiclass", classes=3)
    for old, new in ((b"num_class=3", b"num_class=2"), (b"num_tree_per_iteration=3", b"num_tree_per_iteration=1")):
        with pytest.raises(BoosterTextError, match="one tree per output"):
            check_booster_text(text.replace(old, new))
    two = text.replace(b"num_class=3", b"num_class=2").replace(b"num_tree_per_iteration=3", b"num_tree_per_iteration=2")
    with pytest.raises(BoosterTextError, match="multiple of 2 entries"):
        check_booster_text(two)
