"""Every metric that scikit-learn has, too, gives scikit-learn's value: property tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn import metrics as reference

from capstan_evaluation.arrays import Floats
from capstan_evaluation.kinds import METRICS, find
from capstan_evaluation.ranks import midranks
from capstan_evaluation.tasks import binary, forecast, multiclass, regression

Reference = Callable[[Any, Any], float]
CLASSES = ("a", "b", "c", "d")

scores = st.sampled_from(
    [0.0, 1.0, 1e-300, 1e-16, 1 - 2**-53, 0.001, 0.1, 0.1000001, 0.3, 0.5, 0.7, 0.9, 0.999]
) | st.floats(1e-6, 1 - 1e-6)
binary_rows = st.lists(st.tuples(st.integers(0, 1), scores), min_size=1, max_size=60)
value = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)
value_rows = st.lists(st.tuples(value, value), min_size=2, max_size=60)


def decided(score: Any) -> Any:
    return np.asarray(score) >= 0.5


BINARY: dict[str, Reference] = {
    "auc": reference.roc_auc_score,
    "average_precision": reference.average_precision_score,
    "logloss": lambda labels, said: reference.log_loss(labels, said, labels=[0, 1]),
    "brier": reference.brier_score_loss,
    "accuracy": lambda labels, said: reference.accuracy_score(labels, decided(said)),
    "precision": lambda labels, said: reference.precision_score(labels, decided(said)),
    "recall": lambda labels, said: reference.recall_score(labels, decided(said)),
    "f1": lambda labels, said: reference.f1_score(labels, decided(said)),
}


@pytest.mark.parametrize("name", BINARY)
@settings(deadline=None)
@given(rows=binary_rows)
def test_binary(name: str, rows: list[tuple[int, float]]) -> None:
    labels, said = (np.array(column) for column in zip(*rows, strict=True))
    found = find(name).value(binary.sample(labels, said))
    if found is None:
        assert name in ("auc", "average_precision", "precision", "recall", "f1")
        undefined = {
            "auc": len(set(labels)) < 2,
            "average_precision": not labels.any(),
            "precision": not decided(said).any(),
            "recall": not labels.any(),
            "f1": not labels.any() and not decided(said).any(),
        }
        assert undefined[name]
    else:
        assert found == pytest.approx(BINARY[name](labels, said), abs=1e-12)


def test_sure_and_wrong_costs_what_it_costs_in_scikit_learn() -> None:
    labels, said = [0, 1, 1, 0], [1.0, 0.0, 1.0, 0.3]
    found = find("logloss").value(binary.sample(labels, said))
    assert found == pytest.approx(reference.log_loss(labels, said), abs=1e-12) and found is not None and found > 18
    probabilities = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = find("logloss").value(multiclass.sample(["a", "a", "a"], probabilities, ["a", "b", "c"]))
    assert found == pytest.approx(reference.log_loss([0, 0, 0], probabilities, labels=[0, 1, 2]), abs=1e-12)


MULTICLASS: dict[str, Reference] = {
    "accuracy": lambda codes, said: reference.accuracy_score(codes, said.argmax(axis=1)),
    "logloss": lambda codes, said: reference.log_loss(codes, said, labels=range(len(CLASSES))),
    "macro_f1": lambda codes, said: reference.f1_score(codes, said.argmax(axis=1), average="macro"),
}


@pytest.mark.parametrize("name", MULTICLASS)
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), *[st.just(0.0) | st.floats(0.01, 1)] * 4), min_size=1, max_size=40))
def test_multiclass(name: str, rows: list[tuple[Any, ...]]) -> None:
    codes = [row[0] for row in rows]
    weights = np.array([row[1:] for row in rows]) + 1e-9 * np.array([not any(row[1:]) for row in rows])[:, None]
    said = weights / weights.sum(axis=1, keepdims=True)
    found = find(name).value(multiclass.sample([CLASSES[code] for code in codes], said, CLASSES))
    assert found == pytest.approx(MULTICLASS[name](codes, said), abs=1e-12)


VALUES: dict[str, Reference] = {
    "mae": reference.mean_absolute_error,
    "rmse": reference.root_mean_squared_error,
    "r2": reference.r2_score,
    "mape": reference.mean_absolute_percentage_error,
    "pinball": lambda labels, said: reference.mean_pinball_loss(labels, said, alpha=0.9),
}


@pytest.mark.parametrize("name", VALUES)
@settings(deadline=None)
@given(rows=value_rows)
def test_values(name: str, rows: list[tuple[float, float]]) -> None:
    labels, said = (np.array(column) for column in zip(*rows, strict=True))
    if name == "mape":  # scikit-learn divides by its epsilon at least
        labels = np.where(np.abs(labels) > 1e-9, labels, 1.0)
    metric = find(name)
    found = metric.value(regression.sample(labels, said, quantile=0.9))
    if name == "r2":
        assume(float(labels.std()) > 1e-3 * float(np.abs(labels).max()))
    assert found == pytest.approx(VALUES[name](labels, said), rel=1e-9)
    if "forecast" in metric.tasks:
        assert metric.value(forecast.sample(labels, said, quantile=0.9)) == found


def test_every_metric_has_its_reference() -> None:
    assert set(BINARY) | set(MULTICLASS) | set(VALUES) | {"mase", "smape"} == set(METRICS)


def auc_by_pairs(labels: list[int], said: list[float]) -> float | None:
    rows = list(zip(said, labels, strict=True))
    pairs = [(p, n) for p, label in rows if label for n, other in rows if not other]
    if not pairs:
        return None
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)


@settings(deadline=None)
@given(binary_rows)
def test_auc_is_the_share_of_won_pairs_with_ties_as_halves(rows: list[tuple[int, float]]) -> None:
    labels, said = [row[0] for row in rows], [row[1] for row in rows]
    wanted = auc_by_pairs(labels, said)
    found = find("auc").value(binary.sample(labels, said))
    assert found is None if wanted is None else found == pytest.approx(wanted, abs=1e-12)


@given(st.lists(value, min_size=1))
def test_midranks_are_scipys(values: list[float]) -> None:
    given_values: Floats = np.array(values)
    np.testing.assert_array_equal(midranks(given_values), rankdata(given_values))
