"""The paired bootstrap: draws, undefined resamples, determinism, bounds."""

from __future__ import annotations

import numpy as np
import pytest

from capstan_evaluation import resampling
from capstan_evaluation.compare import Comparison, compare
from capstan_evaluation.errors import InvalidSample, Unsuitable
from capstan_evaluation.kinds import find
from capstan_evaluation.metric import Metric
from capstan_evaluation.resampling import drawn_rows
from capstan_evaluation.tasks import binary

AUC = find("auc")


@pytest.mark.parametrize("metric", ["auc", "logloss", "brier", "accuracy", "average_precision", "f1", "precision"])
def test_each_resample_is_the_metric_of_the_repeated_rows(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 60).astype(np.float64)
    candidate = binary.sample(labels, random.choice([0.1, 0.3, 0.5, 0.7], 60))
    champion = binary.sample(labels, random.random(60))
    monkeypatch.setattr(resampling, "CELLS", 60 * 7)  # several batches
    done: list[tuple[int, int]] = []
    kind = find(metric)
    found = compare(kind, candidate, champion, resamples=20, progress=lambda *told: done.append(told))
    assert done == [(7, 20), (14, 20), (20, 20)]
    drawn = np.concatenate(list(drawn_rows(60, 20)))
    assert drawn.shape == (20, 60)
    assert len({tuple(rows) for rows in drawn}) == 20
    sign = -1 if metric in ("logloss", "brier") else 1
    for number, rows in enumerate(drawn):
        mine, theirs = kind.value(candidate.take(rows)), kind.value(champion.take(rows))
        assert mine is not None and theirs is not None
        assert found.differences[number] == pytest.approx(sign * (mine - theirs), abs=1e-12)


def test_the_general_way_and_the_fast_way_draw_and_find_the_same() -> None:
    random = np.random.default_rng(6)
    labels = random.integers(0, 2, 80)
    one, two = binary.sample(labels, random.random(80)), binary.sample(labels, np.round(random.random(80), 1))
    fast, drawn = compare(AUC, one, two, resamples=50), next(drawn_rows(80, 50))
    slow = Metric.statistic(AUC, one)(drawn) - Metric.statistic(AUC, two)(drawn)
    np.testing.assert_allclose(fast.differences, slow, atol=1e-12)


def test_resamples_with_one_class_are_counted_and_left_out() -> None:
    labels = np.array([1.0, 0.0, 0.0])
    one, two = binary.sample(labels, [0.9, 0.1, 0.2]), binary.sample(labels, [0.1, 0.9, 0.8])
    found = compare(AUC, one, two, resamples=1000)
    assert 200 < found.undefined < 500  # (2/3)^3 + (1/3)^3 = 1/3 of all resamples
    assert len(found.differences) == 1000 - found.undefined
    assert found.upper_bound(0.95) == 1.0


def test_the_same_rows_and_seed_give_the_same_bounds_and_another_seed_others() -> None:
    random = np.random.default_rng(9)
    labels = random.integers(0, 2, 200)
    first, second = binary.sample(labels, random.random(200)), binary.sample(labels, random.random(200))
    one, two = (compare(AUC, first, second) for _ in range(2))
    assert np.array_equal(one.differences, two.differences)
    assert not np.array_equal(one.differences, compare(AUC, first, second, seed=1).differences)
    assert one.lower_bound(0.95) == -compare(AUC, second, first).upper_bound(0.95)


def test_the_bound_refuses_equal_models_about_as_often_as_stated() -> None:
    """Two scores of the same quality: at 95 % confidence about one in twenty is called worse."""
    random = np.random.default_rng(11)
    refused = 0
    for _ in range(200):
        labels = random.integers(0, 2, 300)
        first, second = (binary.sample(labels, labels + random.normal(size=300), probabilities=False) for _ in range(2))
        refused += compare(AUC, first, second, resamples=1000).upper_bound(0.95) < 0
    assert 1 <= refused <= 22


def test_what_cannot_be_compared_is_refused() -> None:
    one, two = binary.sample([0, 1], [0.1, 0.2]), binary.sample([1, 0], [0.1, 0.2])
    with pytest.raises(InvalidSample, match="their labels differ"):
        compare(AUC, one, two)
    none = binary.sample([], [])
    with pytest.raises(InvalidSample, match="no rows to compare"):
        compare(AUC, none, none)
    with pytest.raises(Unsuitable, match="not defined in any of 7 resamples"):
        Comparison(np.array([]), 7).upper_bound(0.9)
