"""Calibration against scikit-learn's curve, by hand, and how large the error of a true model is by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from capstan_evaluation.calibration import Calibration, calibration
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.tasks import binary, regression

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0]) | st.floats(0, 1)), min_size=1, max_size=60
)


@settings(deadline=None)
@given(ROWS, st.sampled_from([1, 2, 5, 10, 15]))
def test_the_curve_is_scikit_learns(rows: list[tuple[int, float]], bins: int) -> None:
    labels, said = [row[0] for row in rows], [row[1] for row in rows]
    found = calibration(binary.sample(labels, said), bins=bins)
    happened, mean_said = calibration_curve(np.array([*labels, 0, 1]), np.array([*said, 0.0, 1.0]), n_bins=bins)
    again = calibration(binary.sample([*labels, 0, 1], [*said, 0.0, 1.0]), bins=bins)
    assert [one.happened for one in again.bins] == pytest.approx(happened.tolist())
    assert [one.said for one in again.bins] == pytest.approx(mean_said.tolist())
    assert sum(one.rows for one in found.bins) == found.rows == len(rows)
    assert all(
        one.interval.low <= one.happened + 1e-12 and one.happened <= one.interval.high + 1e-12 for one in found.bins
    )


def test_the_error_by_hand() -> None:
    found = calibration(binary.sample([1, 0, 1, 1], [0.2, 0.2, 0.9, 0.9]), bins=2)
    assert [(one.low, one.high, one.rows) for one in found.bins] == [(0.0, 0.5, 2), (0.5, 1.0, 2)]
    assert [(one.said, one.happened) for one in found.bins] == [(0.2, 0.5), (0.9, 1.0)]
    assert found.error == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)


def by_chance(curve: Calibration) -> float:
    """What the error is of probabilities that are all true, by the draw of the labels alone.

    The mean absolute value of a normal variable is sqrt(2 / pi) of its deviation, here that of each bin's share.
    """
    said, rows = np.array([one.said for one in curve.bins]), np.array([one.rows for one in curve.bins])
    return float(np.average(np.sqrt(2 / np.pi * said * (1 - said) / rows), weights=rows))


def test_a_model_whose_probabilities_are_true_shows_the_error_of_chance_and_one_that_is_too_sure_more() -> None:
    random = np.random.default_rng(3)
    errors: list[float] = []
    chances: list[float] = []
    sure: list[float] = []
    for _ in range(200):
        chance = random.beta(1.5, 1.5, 500)
        labels = random.random(500) < chance
        true = calibration(binary.sample(labels, chance))
        errors.append(true.error or 0.0)
        chances.append(by_chance(true))
        odds = 1.8 * np.log(chance / (1 - chance))
        sure.append(calibration(binary.sample(labels, 1 / (1 + np.exp(-odds)))).error or 0.0)
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.1)
    assert np.mean(sure) > 1.5 * np.mean(errors)


def test_without_rows_and_without_probabilities() -> None:
    empty = calibration(binary.sample([], []))
    assert (empty.rows, empty.bins, empty.error) == (0, (), None)
    for sample in (binary.sample([1, 0], [3.0, -1.0], probabilities=False), regression.sample([1.0], [0.5])):
        with pytest.raises(Unsuitable, match="calibration needs probabilities of the class 1"):
            calibration(sample)
    with pytest.raises(ValueError, match="at least one bin"):
        calibration(binary.sample([1], [0.5]), bins=0)
