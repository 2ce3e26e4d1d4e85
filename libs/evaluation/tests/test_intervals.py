"""Intervals: DeLong against brute force, the agreement with a bootstrap, coverage, and what has no interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import binomtest as score_test

from capstan_evaluation import intervals
from capstan_evaluation.arrays import Floats
from capstan_evaluation.intervals import Interval
from capstan_evaluation.kinds import METRICS, find
from capstan_evaluation.metric import Metric
from capstan_evaluation.resampling import resample
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, forecast, multiclass, regression

Random = np.random.Generator
AUC = find("auc")
Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def ranked(random: Random, rows: int) -> Sample:
    label = (random.random(rows) < 0.3).astype(np.float64)
    return binary.sample(label, np.round(random.normal(label * 0.8, 1), 1), probabilities=False)


def by_hand(sample: Sample) -> tuple[float, float]:
    """AUC and DeLong's standard error from their definition: all pairs (DeLong, DeLong, Clarke-Pearson 1988)."""
    x, y = sample.predictions[sample.labels == 1], sample.predictions[sample.labels == 0]
    psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    variance = psi.mean(axis=1).var(ddof=1) / len(x) + psi.mean(axis=0).var(ddof=1) / len(y)
    return float(psi.mean()), float(np.sqrt(variance))


@pytest.mark.parametrize("seed", range(5))
def test_the_fast_algorithm_is_delongs(seed: int) -> None:
    sample = ranked(np.random.default_rng(seed), 200)
    auc, deviation = by_hand(sample)
    found = AUC.interval(sample)
    assert AUC.value(sample) == pytest.approx(auc, abs=1e-12)
    assert found is not None and found.method == "DeLong"
    assert found.low == pytest.approx(auc - Z * deviation, abs=1e-12)
    assert found.high == pytest.approx(auc + Z * deviation, abs=1e-12)


def test_delongs_interval_agrees_with_a_bootstrap() -> None:
    sample = ranked(np.random.default_rng(1), 400)
    found = AUC.interval(sample)
    again = intervals.of_resamples(resample(AUC.statistic(sample), 400, resamples=2000), 0.95)
    assert found is not None and again is not None
    assert again.low == pytest.approx(found.low, abs=0.015)
    assert again.high == pytest.approx(found.high, abs=0.015)


# --- coverage: how often the interval holds the truth ----------------------------------------------------------------


def classified(random: Random, rows: int) -> Sample:
    """Labels drawn by probabilities that are a little too sure."""
    chance = random.beta(1.5, 1.5, rows)
    sure = 1 / (1 + np.exp(-1.3 * np.log(chance / (1 - chance))))
    return binary.sample(random.random(rows) < chance, sure)


def of_three(random: Random, rows: int) -> Sample:
    chances = random.dirichlet((1.0, 1.5, 0.8), rows)
    codes = (random.random((rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return multiclass.sample([f"{code}" for code in codes], chances, ("0", "1", "2"))


def measured(random: Random, rows: int) -> Sample:
    truth = random.normal(10, 2, rows)
    return regression.sample(truth, truth + random.normal(0.2, 1, rows), quantile=0.8)


def forecasted(random: Random, rows: int) -> Sample:
    truth = random.normal(10, 2, rows)
    return forecast.sample(truth, truth + random.laplace(0.2, 1, rows), scale=random.uniform(1, 2, rows))


REPEATS = 300
MAKERS: dict[str, Callable[[Random, int], Sample]] = {
    "binary": classified,
    "multiclass": of_three,
    "regression": measured,
    "forecast": forecasted,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", METRICS.names)
def test_the_interval_covers_the_truth_as_often_as_it_says(name: str) -> None:
    """Of 300 intervals of 95 % on 300 rows each, as many hold the truth as of 300 draws of probability 0.95.

    Both bounds of the binomial at 0.001 (272 and 295): too narrow fails, and too wide as well. The truth is the metric
    of a million rows.
    """
    metric = find(name)
    make, random = MAKERS[metric.tasks[0]], np.random.default_rng(12)
    truth = metric.value(make(random, 1_000_000))
    assert truth is not None
    hits = sum(covers(metric.interval(make(random, 300)), truth) for _ in range(REPEATS))
    assert binom.ppf(0.001, REPEATS, 0.95) <= hits <= binom.ppf(0.999, REPEATS, 0.95)


def covers(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    return interval.low <= truth <= interval.high


def test_delongs_interval_covers_the_true_auc() -> None:
    random = np.random.default_rng(2)
    truth = float(norm.cdf(1 / np.sqrt(2)))  # of normal scores one standard deviation apart
    labels, hits = np.repeat([1.0, 0.0], [100, 150]), 0
    for _ in range(400):
        scores = np.concatenate([random.normal(1, 1, 100), random.normal(0, 1, 150)])
        hits += covers(AUC.interval(binary.sample(labels, scores, probabilities=False)), truth)
    assert hits >= binom.ppf(0.001, 400, 0.95)


# --- edges -----------------------------------------------------------------------------------------------------------


def test_what_has_no_interval() -> None:
    one = binary.sample([1], [0.5])
    assert AUC.value(one) is None and AUC.interval(one) is None
    two = binary.sample([0, 1], [0.2, 0.8])
    assert AUC.value(two) == 1.0 and AUC.interval(two) is None
    assert find("brier").value(one) == 0.25 and find("brier").interval(one) is None
    assert find("precision").interval(binary.sample([1, 0], [0.1, 0.1])) is None
    zero = regression.sample([0.0, 1.0], [1.0, 1.0])
    assert find("mape").value(zero) is None and find("mape").interval(zero) is None
    assert find("r2").interval(regression.sample([2.0] * 9, range(9))) is None
    huge = regression.sample([1e300, 0.0], [0.0, 1e300])
    assert find("rmse").value(huge) is None and find("rmse").interval(huge) is None


def test_intervals_of_shares() -> None:
    found = find("accuracy").interval(binary.sample([1, 0, 0, 0], [0.9, 0.2, 0.6, 0.0]))
    assert found is not None and (found.high, found.method) == (1.0, "normal")
    labels, scores = np.repeat([1, 0], [7, 3]), np.full(10, 0.9)
    wilson, wanted = find("precision").interval(binary.sample(labels, scores)), score_test(7, 10)
    assert wilson is not None
    known = wanted.proportion_ci(0.95, method="wilson")
    assert [wilson.low, wilson.high] == pytest.approx([known.low, known.high])


def test_the_bootstrap_is_the_way_of_any_metric_and_knows_when_it_is_none() -> None:
    sample = classified(np.random.default_rng(4), 200)
    analytic, general = AUC.interval(sample), Metric.interval(AUC, sample)
    assert analytic is not None and general is not None and general.method == "bootstrap percentile"
    assert general.low == pytest.approx(analytic.low, abs=0.02)
    mostly: Floats = np.array([np.nan, np.nan, 1.0])
    assert intervals.of_resamples(mostly, 0.9) is None
    assert intervals.of_resamples(mostly[:0], 0.9) is None


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="a confidence lies between 0 and 1"):
        intervals.z_of(confidence)
    assert intervals.z_of(0.95) == pytest.approx(Z, abs=1e-15)
