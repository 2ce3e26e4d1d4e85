"""Non-inferiority: the four answers, the rows that are needed, the bound for few items."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from capstan_evaluation.compare import Comparison, compare
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.kinds import METRICS, find
from capstan_evaluation.noninferiority import LEAST, Answer, as_good, behind, match, passes
from capstan_evaluation.quantiles import expanded_tail, t_quantile
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, regression


def items(rows: int = 2000, positive: int = 1000) -> Sample:
    return binary.sample(np.arange(rows) < positive, np.full(rows, 0.5))


def resampled(mean: float, error: float) -> Comparison:
    return Comparison(np.asarray(norm.ppf((np.arange(4000) + 0.5) / 4000, mean, error)), 0)


@pytest.mark.parametrize(
    ("mean", "error", "answer"),
    [
        (0.02, 0.005, Answer.BETTER),
        (0.005, 0.005, Answer.AS_GOOD),
        (-0.001, 0.005, Answer.AS_GOOD),
        (0.0, 0.02, Answer.TOO_FEW_ROWS),
        (-0.012, 0.005, Answer.TOO_FEW_ROWS),
        (-0.03, 0.005, Answer.WORSE),
    ],
)
def test_what_the_bounds_show(mean: float, error: float, answer: Answer) -> None:
    result = as_good(resampled(mean, error), items(), difference=mean, margin=0.01, confidence=0.95)
    assert result.answer is answer
    assert result.lower == pytest.approx(mean - 1.645 * error, abs=0.02 * error)
    assert result.upper == pytest.approx(mean + 1.645 * error, abs=0.02 * error)
    assert result.standard_error == pytest.approx(error, rel=0.01)
    assert (result.rows_needed is None) is (answer is not Answer.TOO_FEW_ROWS)


def test_rows_needed_are_those_at_which_the_bound_reaches_the_margin() -> None:
    result = as_good(resampled(0.0, 0.02), items(), difference=0.0, margin=0.01, confidence=0.95)
    assert result.rows_needed == pytest.approx(2000 * (1.645 * 0.02 / 0.01) ** 2, rel=0.01)
    assert result.rows_for_equal == pytest.approx(2000 * (2.486 * 0.02 / 0.01) ** 2, rel=0.01)
    worse = as_good(resampled(-0.02, 0.02), items(), difference=-0.02, margin=0.01, confidence=0.95)
    assert worse.rows_needed == pytest.approx(2000 * (1.645 * 0.02 / 0.01) ** 2, rel=0.01)  # to be called worse


def test_a_margin_of_nothing_asks_for_better_and_no_number_of_rows_lets_an_equal_one_pass() -> None:
    result = as_good(resampled(0.0, 0.02), items(), difference=0.0, margin=0.0, confidence=0.95)
    assert result.answer is Answer.TOO_FEW_ROWS
    assert result.rows_for_equal is None and result.rows_needed is None
    with pytest.raises(ValueError, match="not negative"):
        as_good(resampled(0.0, 0.02), items(), difference=0.0, margin=-0.1, confidence=0.95)


@pytest.mark.parametrize("margin", [5e-324, 1e-200, 1e-9])
def test_more_rows_than_anybody_has_are_no_number_of_rows(margin: float) -> None:
    """A margin next to nothing, or a difference next to the margin: no crash, and no figure of thirty digits."""
    tiny = as_good(resampled(0.0, 0.02), items(), difference=0.0, margin=margin, confidence=0.95)
    assert tiny.answer is Answer.TOO_FEW_ROWS
    assert tiny.rows_for_equal is None and tiny.rows_needed is None
    close = as_good(resampled(-0.01, 0.02), items(), difference=-0.01 + 1e-17, margin=0.01, confidence=0.95)
    assert close.rows_needed is None and close.rows_for_equal is not None
    many = as_good(resampled(0.0, 0.02), items(), difference=0.0, margin=1e-5, confidence=0.95)
    assert many.rows_for_equal is not None and 10**9 < many.rows_for_equal <= 10**12


@pytest.mark.parametrize("positive", [1, LEAST - 1])
def test_of_a_handful_of_items_nothing_is_believed(positive: int) -> None:
    """However clear it looks: the bound itself rests on this handful."""
    sample = items(1000, positive)
    result = as_good(resampled(0.2, 0.01), sample, difference=0.2, margin=0.01, confidence=0.95)
    assert result.answer is Answer.TOO_FEW_ROWS
    assert result.rows_needed is not None and result.rows_needed >= 1000 * LEAST / positive


def test_equal_models_are_as_good_with_no_width_at_all() -> None:
    labels = np.arange(100) % 2
    same = binary.sample(labels, np.linspace(0, 1, 100))
    result = as_good(compare(find("auc"), same, same), same, difference=0.0, margin=0.0, confidence=0.95)
    assert (result.answer, result.lower, result.upper) == (Answer.AS_GOOD, 0, 0)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 24, 99, 1000, 5000])
@pytest.mark.parametrize("share", [0.05, 0.6, 0.95, 0.999])
def test_quantiles_of_t_are_those_of_scipy(freedom: int, share: float) -> None:
    assert t_quantile(share, freedom) == pytest.approx(t.ppf(share, freedom), rel=1e-4)


def test_the_bound_of_few_items_is_wider_and_that_of_many_is_not() -> None:
    assert expanded_tail(0.95, 25) == pytest.approx(norm.cdf(-((25 / 24) ** 0.5) * t.ppf(0.95, 24)))
    assert expanded_tail(0.95, 25) < 0.041 and expanded_tail(0.95, 100_000) == pytest.approx(0.05, abs=1e-5)
    for nonsense in ((0.0, 3), (1.0, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="no quantile"):
            t_quantile(*nonsense)
    with pytest.raises(ValueError, match="no bound"):
        expanded_tail(0.95, 1)


def test_every_metric_has_a_margin_of_its_own() -> None:
    """A point of a hundred for what lies between 0 and 1 and is no error; two percent of the champion's for errors."""
    points = {name for name in METRICS if not find(name).margin.relative}
    assert points == {"accuracy", "auc", "average_precision", "f1", "macro_f1", "precision", "r2", "recall"}
    assert {find(name).margin.of(0.8) for name in points} == {0.01}
    assert find("mae").margin.of(50.0) == pytest.approx(1.0) and find("brier").margin.of(0.15) == pytest.approx(0.003)


def test_the_rarer_class_counts_only_where_there_are_two() -> None:
    assert items(1000, 30).rarest == 30 and items(1000, 970).rarest == 30
    assert regression.sample(np.arange(7.0), np.arange(7.0)).rarest == 7


@pytest.mark.parametrize(
    ("now", "before", "passed"),
    [
        (Answer.BETTER, Answer.WORSE, True),
        (Answer.AS_GOOD, None, "tie"),
        (Answer.AS_GOOD, Answer.BETTER, "tie"),
        (Answer.AS_GOOD, Answer.WORSE, False),
        (Answer.AS_GOOD, Answer.TOO_FEW_ROWS, None),
        (Answer.TOO_FEW_ROWS, Answer.WORSE, False),
        (Answer.TOO_FEW_ROWS, None, None),
        (Answer.WORSE, Answer.BETTER, False),
    ],
)
def test_what_follows_from_the_answers(now: Answer, before: Answer | None, passed: bool | str | None) -> None:
    for tie in (True, False):
        assert passes(now, before, tie=tie) is (tie if passed == "tie" else passed)


def test_a_match_takes_the_metrics_own_margin_or_the_stated_one_and_says_what_is_not_defined() -> None:
    random = np.random.default_rng(0)
    labels = random.normal(size=300)
    new, old = (regression.sample(labels, labels + random.normal(size=300)) for _ in range(2))
    own = match(find("mae"), new, old, margin=None, confidence=0.95, resamples=200)
    assert own.result.margin == pytest.approx(0.02 * own.champion) and own.undefined == 0
    assert own.result.difference == pytest.approx(own.champion - own.candidate)
    assert behind(find("mae"), new, old) == pytest.approx(own.candidate - own.champion)
    assert match(find("mae"), new, old, margin=0.5, confidence=0.95, resamples=200).result.margin == 0.5
    ones = binary.sample(np.ones(20), np.linspace(0, 1, 20))
    assert behind(find("auc"), ones, ones) is None
    with pytest.raises(Unsuitable, match="auc is not defined"):
        match(find("auc"), ones, ones, margin=None, confidence=0.95)
