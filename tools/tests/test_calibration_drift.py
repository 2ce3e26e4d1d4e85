"""The simulations of drift, small: what the documentation says of the alarm holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from calibration import drift, drift_told
from calibration.drift_told import Move
from capstan_formats.sketches import NumericSketch

SIZES = [(3_000, 300), (3_000, 3_000), (3_000, 50_000), (50_000, 300), (300_000, 300), (300_000, 50_000)]


@pytest.mark.parametrize(("baseline_rows", "window_rows"), SIZES)
def test_false_alarms_over_fifty_columns_stay_at_alpha(baseline_rows: int, window_rows: int) -> None:
    windows = 60
    rate = drift.false_alarms(np.random.default_rng(window_rows), baseline_rows, window_rows, windows)
    assert len(drift.TABLE) == 50
    assert rate.by_test <= binom.ppf(0.999, windows, 0.01)
    assert rate.with_floors <= binom.ppf(0.999, windows, 0.01)


def test_by_the_test_alone_means_without_any_floor() -> None:
    random = np.random.default_rng(4)
    pairs = [column.pair(random, 3_000, 300) for column in (*drift.TABLE, drift.MANY_WORDS)]
    found = drift.figures(pairs, drift.BARE)
    assert {one.statistic for one in found} == {"psi", "missing", "moved-slice", "new-category"}
    assert {one.floor for one in found} == {drift.WITHOUT_FLOORS}


@pytest.mark.parametrize(("move", "judged"), [(Move(0.1, 2), 1.0), (Move(1, 0.25), 0.0)])
def test_a_part_that_moves_is_told_and_a_small_shift_of_all_rows_is_not(move: Move, judged: float) -> None:
    by_psi, by_all, psi = drift_told.told(np.random.default_rng(6), move, 50_000, 5)
    assert (by_psi, by_all) == (0, judged)
    assert psi == pytest.approx(0.05, abs=0.02)


def test_counts_between_quantiles_are_drawn_as_rows_would_be() -> None:
    """Mean and spread of the window's cells, against sketches that are made of rows."""
    random, rows = np.random.default_rng(5), []
    for _ in range(400):
        baseline = NumericSketch.build(random.exponential(size=100))
        window = baseline.empty_like()
        window.update(random.exponential(size=1_000))
        rows.append(window.counts)
    drawn = [drift.continuous(random, 100, 1_000)[1].counts for _ in range(400)]
    np.testing.assert_allclose(np.mean(drawn, axis=0), np.mean(rows, axis=0), rtol=0.25, atol=2)
    np.testing.assert_allclose(np.std(drawn, axis=0), np.std(rows, axis=0), rtol=0.25, atol=2)


@pytest.mark.parametrize(("per_entity", "window_rows", "shared"), [(30, 500, 5), (30, 3_000, 20), (100, 30_000, 20)])
def test_rows_that_share_a_looked_up_value_raise_no_alarm(per_entity: int, window_rows: int, shared: int) -> None:
    windows = 25
    told = drift.shared_values(np.random.default_rng(8), per_entity, window_rows, shared, windows)
    assert told.judged * windows <= binom.ppf(0.999, windows, 0.01)


def test_taken_as_independent_such_rows_raise_alarms() -> None:
    """What the test above would not see otherwise: 16 entities in a window of 500 rows."""
    assert drift.shared_values(np.random.default_rng(8), 30, 500, 5, 10).independent > 0.9
