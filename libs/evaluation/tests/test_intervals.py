"""Intervals: DeLong against brute force, the agreement with a bootstrap, coverage, and what has no interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import binomtest as score_test

from calibration.intervals import WORLDS, World, coverage, false_alarms
from calibration.intervals import detected as f1_world
from calibration.intervals import ranked as ranked_world
from capstan_evaluation import intervals
from capstan_evaluation.anytime import confidence_at
from capstan_evaluation.arrays import Floats
from capstan_evaluation.intervals import Interval
from capstan_evaluation.kinds import METRICS, find
from capstan_evaluation.metric import Metric
from capstan_evaluation.metrics.auc import delongs_variance, newcombes_variance
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
    found, variance = delongs_variance(sample.predictions[sample.labels == 1], sample.predictions[sample.labels == 0])
    assert AUC.value(sample) == pytest.approx(auc, abs=1e-12) == pytest.approx(found, abs=1e-12)
    assert variance == pytest.approx(deviation**2, abs=1e-12)


def test_the_interval_of_auc_is_delongs_in_the_middle_of_its_scale() -> None:
    """Away from 0 and 1 and with many rows the score method and the normal interval meet."""
    sample = ranked(np.random.default_rng(1), 20_000)
    auc, deviation = by_hand_of_many(sample)
    found = AUC.interval(sample)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([auc - Z * deviation, auc + Z * deviation], abs=0.0006)


def by_hand_of_many(sample: Sample) -> tuple[float, float]:
    auc, variance = delongs_variance(sample.predictions[sample.labels == 1], sample.predictions[sample.labels == 0])
    return auc, float(np.sqrt(variance))


def test_the_ends_of_newcombes_interval_are_where_the_estimate_is_z_standard_errors_away() -> None:
    """Scores as the method supposes them (few, none out of order): DeLong's variance is 0 and widens nothing."""
    labels = np.repeat([1.0, 0.0], [4, 12])
    found = AUC.interval(binary.sample(labels, labels * 0.8 + 0.1))
    assert found is not None and found.high == 1.0
    assert (1 - found.low) ** 2 == pytest.approx(Z * Z * newcombes_variance(found.low, 4, 12), rel=1e-9)


def test_no_pair_out_of_order_is_not_certainty() -> None:
    """60 rows that are ranked perfectly: DeLong's interval has no width."""
    found = AUC.interval(binary.sample(np.repeat([1.0, 0.0], 30), np.repeat([0.9, 0.1], 30)))
    assert found is not None and found.high == 1.0 and 0.85 < found.low < 0.95


def test_equal_values_have_no_interval_of_their_mean_though_their_mean_is_rounded() -> None:
    """The mean of 200 times 0.3 is not 0.3, and their deviation not 0."""
    for value in (0.3, -0.3, 1e9 / 3, 0.0):
        assert intervals.of_mean(np.full(200, value), 0.95, (-np.inf, np.inf)) is None
    near = intervals.of_mean(0.3 + 1e-9 * np.arange(200, dtype=np.float64), 0.95, (-np.inf, np.inf))
    assert near is not None and near.low < 0.3 + 1e-9 * 99.5 < near.high


def test_equal_items_have_no_interval_of_their_mean() -> None:
    assert find("brier").interval(binary.sample([1, 1, 1], [0.9, 0.9, 0.9])) is None


def test_the_interval_of_auc_agrees_with_a_bootstrap() -> None:
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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
@pytest.mark.parametrize("rows", [60, 200])
def test_small_and_extreme_samples_are_covered(world: World, rows: int) -> None:
    """At least 0.91 of 400 intervals of 95 %, where DeLong's held 0.4 and the normal one of a mean 0.88.

    A share close to 1 is what Wilson's interval is known to miss more often in places; none of the sizes here is one.
    """
    held, width, none = coverage(world, rows=rows, repeats=400)
    assert held >= 0.91 and width > 0 and none < 100


def test_looking_often_is_no_way_to_an_alarm() -> None:
    """The true value is on the bound: 2.5 % of windows may be told of; a fixed interval tells of a fifth and more."""
    world = ranked_world(0.65, 0.2)
    told = [false_alarms(world, bound=0.65, labels=500, every=10, repeats=120, anytime=way) for way in (True, False)]
    assert told[0] <= binom.ppf(0.999, 120, 0.025) / 120 and told[1] > 0.12


def test_a_bootstrapped_interval_widens_with_its_confidence_beyond_what_its_resamples_can_tell() -> None:
    """As wide as so many standard errors, where the outermost of 1,000 resamples would be the end of every one."""
    metric, sample = find("f1"), classified(np.random.default_rng(6), 1_000)
    value, deviation = metric.value(sample), resample(metric.statistic(sample), 1_000).std()
    found = [metric.interval(sample, confidence) for confidence in (0.95, 0.9976, 0.99999, 0.9999999)]
    methods = [one.method for one in found if one is not None]
    assert methods == ["bootstrap percentile", *["bootstrap standard error"] * 3]
    assert value is not None
    for one, confidence in zip(found[1:], (0.9976, 0.99999, 0.9999999), strict=True):
        half = norm.ppf((1 + confidence) / 2) * deviation
        assert one is not None and [one.low, one.high] == pytest.approx([value - half, value + half], rel=1e-6)


def test_an_interval_of_standard_errors_stays_within_the_limits_of_its_metric() -> None:
    near = np.repeat([0.99, 0.97, 1.0], 20)
    found = intervals.of_resamples(near, 0.9999999, value=0.98, limits=(0.0, 1.0))
    assert found is not None and found.high == 1.0 and 0.9 < found.low < 0.97


def test_a_bootstrapped_metric_on_its_bound_raises_no_alarm_by_often_looking() -> None:
    world = f1_world(0.8)
    told = false_alarms(world, bound=world.truth, labels=400, every=20, repeats=60)
    assert told <= binom.ppf(0.999, 60, 0.025) / 60


def test_what_is_bad_is_found() -> None:
    """An AUC of 0.5 against a bound of 0.65, in 500 labels."""
    assert false_alarms(ranked_world(0.5, 0.2), bound=0.65, labels=500, every=10, repeats=60) > 0.9


@pytest.mark.parametrize(("items", "first"), [(99, 100), (0, 0)])
def test_there_is_no_look_before_the_first(items: int, first: int) -> None:
    with pytest.raises(ValueError, match=f"the first look is at {first} items"):
        confidence_at(items, first, 0.95)


def test_the_quantile_of_a_sequence_is_that_of_the_paper() -> None:
    """Waudby-Smith et al. (2024), theorem 2.2, with rho chosen for the first look; by hand for 100 of 100."""
    square = -2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)
    quantile = np.sqrt(2 * (square + 1) / square * np.log(np.sqrt(square + 1) / 0.05))
    assert norm.ppf((1 + confidence_at(100, 100, 0.95)) / 2) == pytest.approx(quantile, abs=1e-9)
    assert confidence_at(100, 100, 0.95) < confidence_at(1000, 100, 0.95) < 1


def test_the_interval_covers_the_true_auc() -> None:
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
    known = score_test(3, 4).proportion_ci(0.95, method="wilson")
    assert found is not None and found.method == "Wilson"
    assert [found.low, found.high] == pytest.approx([known.low, known.high])
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
