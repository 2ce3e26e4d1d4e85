"""The gates' numbers against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan_registry.jobs import bootstrap
from capstan_registry.jobs.metrics import METRICS, auc, row_values


def auc_by_pairs(labels: list[int], scores: list[float]) -> float | None:
    pairs = [
        (p, n)
        for p, lp in zip(scores, labels, strict=True)
        if lp
        for n, ln in zip(scores, labels, strict=True)
        if not ln
    ]
    if not pairs:
        return None
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.1000001, 0.5, 0.9, 1.0])), min_size=1, max_size=40
    )
)
def test_auc_is_the_share_of_won_pairs_with_ties_as_halves(rows: list[tuple[int, float]]) -> None:
    labels, scores = [row[0] for row in rows], [row[1] for row in rows]
    wanted = auc_by_pairs(labels, scores)
    found = auc(np.array(labels, dtype=float), np.array(scores))
    assert found is None if wanted is None else found == pytest.approx(wanted, abs=1e-12)


def test_means_over_rows() -> None:
    labels, scores = np.array([1.0, 0.0, 1.0]), np.array([0.8, 0.4, 0.0])
    assert METRICS["brier"](labels, scores) == pytest.approx((0.04 + 0.16 + 1.0) / 3)
    assert METRICS["accuracy"](labels, scores) == pytest.approx(2 / 3)
    sure = METRICS["logloss"](labels, scores)
    assert sure is not None and math.isfinite(sure)
    assert row_values("logloss", labels, scores)[0] == pytest.approx(-math.log(0.8))


@pytest.mark.parametrize("metric", ["auc", "logloss", "brier", "accuracy"])
def test_each_resample_is_the_metric_of_the_repeated_rows(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 60).astype(np.float64)
    candidate, champion = np.asarray(random.choice([0.1, 0.3, 0.5, 0.7], 60), dtype=np.float64), random.random(60)
    monkeypatch.setattr(bootstrap, "CELLS", 60 * 7)  # several batches
    found = bootstrap.compare(metric, labels, candidate, champion, resamples=20)
    drawn = np.concatenate(list(bootstrap._resampled_rows(60, 20)))
    assert drawn.shape == (20, 60)
    assert len({tuple(rows) for rows in drawn}) == 20
    sign = -1 if metric in ("logloss", "brier") else 1
    for number, rows in enumerate(drawn):
        mine, theirs = METRICS[metric](labels[rows], candidate[rows]), METRICS[metric](labels[rows], champion[rows])
        assert mine is not None and theirs is not None
        assert found.differences[number] == pytest.approx(sign * (mine - theirs), abs=1e-12)


def test_resamples_with_one_class_are_counted_and_left_out() -> None:
    labels = np.array([1.0, 0.0, 0.0])
    found = bootstrap.compare("auc", labels, np.array([0.9, 0.1, 0.2]), np.array([0.1, 0.9, 0.8]), resamples=1000)
    assert 200 < found.undefined < 500  # (2/3)^3 + (1/3)^3 = 1/3 of all resamples
    assert len(found.differences) == 1000 - found.undefined
    assert found.upper_bound(0.95) == 1.0


def test_the_same_rows_give_the_same_bounds() -> None:
    random = np.random.default_rng(9)
    labels, first, second = random.integers(0, 2, 200).astype(float), random.random(200), random.random(200)
    one = bootstrap.compare("auc", labels, first, second, resamples=1000)
    two = bootstrap.compare("auc", labels, first, second, resamples=1000)
    assert np.array_equal(one.differences, two.differences)


def test_the_bound_refuses_equal_models_about_as_often_as_stated() -> None:
    """Two scores of the same quality: at 95 % confidence about one in twenty is called worse."""
    random = np.random.default_rng(11)
    refused = 0
    for _ in range(200):
        labels = random.integers(0, 2, 300).astype(float)
        first, second = labels + random.normal(size=300), labels + random.normal(size=300)
        refused += bootstrap.compare("auc", labels, first, second, resamples=1000).upper_bound(0.95) < 0
    assert 1 <= refused <= 22
