"""Distances against scipy, on shapes with known answers, and on data without drift."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from capstan_formats.sketches import (
    CategorySketch,
    NumericSketch,
    SketchError,
    chi_square,
    chi_square_p_value,
    jensen_shannon,
    psi,
    wasserstein,
)

VALUES = st.lists(st.none() | st.floats(-100, 100), min_size=1, max_size=60)


def window_of(sketch: Any, values: Any) -> Any:
    window = sketch.empty_like()
    window.update(values)
    return window


@given(VALUES, VALUES)
def test_ranges_and_symmetry(left: list[float | None], right: list[float | None]) -> None:
    baseline = NumericSketch.build(left)
    window = window_of(baseline, right)
    assert psi(baseline, window) >= 0
    assert 0 <= jensen_shannon(baseline, window) <= 1
    assert jensen_shannon(baseline, window) == pytest.approx(jensen_shannon(window, baseline))
    assert 0 <= chi_square(baseline, window).p_value <= 1
    assert psi(baseline, baseline) == pytest.approx(0)
    assert jensen_shannon(baseline, baseline) == pytest.approx(0, abs=1e-7)
    assert chi_square(baseline, baseline).p_value == 1
    if baseline.n and window.n:
        assert wasserstein(baseline, window) >= 0
        assert wasserstein(baseline, baseline) == 0


def test_psi_of_known_counts() -> None:
    baseline = CategorySketch.build(["a"] * 600 + ["b"] * 400)
    window = window_of(baseline, ["a"] * 300 + ["b"] * 700)
    p, q = np.array([600.5, 400.5]) / 1001, np.array([300.5, 700.5]) / 1001
    assert psi(baseline, window) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert psi(baseline, window) == pytest.approx(0.3 * math.log(3.5), rel=0.01)


def test_without_drift_psi_is_as_small_as_sampling_makes_it() -> None:
    random = np.random.default_rng(3)
    baseline = NumericSketch.build(random.normal(size=200_000))
    found = [psi(baseline, window_of(baseline, random.normal(size=500))) for _ in range(200)]
    assert np.mean(found) == pytest.approx(9 / 500, rel=0.25)


def test_jensen_shannon_agrees_with_scipy() -> None:
    baseline = CategorySketch.build(["a"] * 6 + ["b"] * 3 + [None])
    window = window_of(baseline, ["a"] * 2 + ["b"] * 7 + ["z"] * 5)
    expected = distance.jensenshannon([6, 3, 0, 1], [2, 7, 5, 0], base=2)
    assert jensen_shannon(baseline, window) == pytest.approx(expected)
    assert jensen_shannon(baseline, window_of(baseline, ["z"])) == pytest.approx(1)


@pytest.mark.parametrize(("shift", "off"), [(0.0, 0.03), (0.1, 0.03), (1.0, 0.05), (5.0, 0.25)])
def test_wasserstein_agrees_with_scipy(shift: float, off: float) -> None:
    random = np.random.default_rng(5)
    reference, other = random.gamma(2.0, 3.0, 20_000), random.gamma(2.0, 3.0, 20_000) + shift
    baseline = NumericSketch.build(reference, bins=20)
    expected = stats.wasserstein_distance(reference, other) / reference.std()
    assert wasserstein(baseline, window_of(baseline, other)) == pytest.approx(expected, rel=off, abs=0.03)


@pytest.mark.parametrize(
    ("shape", "bins", "over"),
    [
        ("normal", 10, 0.33), ("normal", 20, 0.21), ("normal", 50, 0.13),
        ("exponential", 10, 0.98), ("exponential", 20, 0.55), ("exponential", 50, 0.19), ("random", 10, 0.03),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shift", [0.25, 0.5, 1.0, 2.0])
def test_wasserstein_overstates_by_no_more_than_it_says(shape: str, bins: int, over: float, shift: float) -> None:
    """What the docstring says, and three points for chance; never less than the distance itself."""
    draw = getattr(np.random.default_rng(5), shape)
    before, now = draw(size=20_000), draw(size=20_000)
    now += shift * before.std()
    baseline = NumericSketch.build(before, bins=bins)
    found = wasserstein(baseline, window_of(baseline, now)) * before.std() / stats.wasserstein_distance(before, now)
    assert -0.03 <= found - 1 <= over


def test_wasserstein_of_atoms() -> None:
    baseline = NumericSketch.build([0] * 80 + [1] * 20)
    window = window_of(baseline, [0] * 50 + [1] * 50)
    assert wasserstein(baseline, window) == pytest.approx(0.3 / 0.4, rel=1e-4)
    constant = NumericSketch.build([5.0] * 10)
    assert wasserstein(constant, window_of(constant, [5.0])) == 0
    assert wasserstein(constant, window_of(constant, [6.0])) > 100
    far = window_of(constant, [7.0])
    assert wasserstein(constant, far) > wasserstein(constant, window_of(constant, [6.0]))


@given(st.integers(1, 200), st.floats(0, 2000))
def test_p_values_agree_with_scipy(dof: int, statistic: float) -> None:
    assert chi_square_p_value(statistic, dof) == pytest.approx(stats.chi2.sf(statistic, dof), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("dof", [1000, 100_000])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.999, 1.0, 1.001, 1.1, 2.0])
def test_p_values_of_many_cells(dof: int, ratio: float) -> None:
    assert chi_square_p_value(dof * ratio, dof) == pytest.approx(stats.chi2.sf(dof * ratio, dof), rel=1e-8, abs=1e-12)


def test_extreme_p_values() -> None:
    assert chi_square_p_value(0, 3) == 1
    assert chi_square_p_value(1e6, 3) == 0
    assert chi_square_p_value(math.inf, 3) == 0
    for statistic, dof in ((-1.0, 3), (math.nan, 3), (1.0, 0)):
        with pytest.raises(SketchError):
            chi_square_p_value(statistic, dof)


def test_chi_square_agrees_with_scipy() -> None:
    baseline = CategorySketch.build(["a"] * 500 + ["b"] * 300 + ["c"] * 200)
    window = window_of(baseline, ["a"] * 90 + ["b"] * 80 + ["c"] * 40)
    expected = stats.chi2_contingency([[500, 300, 200], [90, 80, 40]], correction=False)
    found = chi_square(baseline, window)
    assert found == pytest.approx((expected.statistic, expected.dof, expected.pvalue))


def test_rare_cells_are_pooled() -> None:
    baseline = CategorySketch.build(["a"] * 500 + ["b"] * 400 + [f"w{i}" for i in range(30)])
    window = window_of(baseline, ["a"] * 110 + ["b"] * 80 + ["new"] * 3)
    expected = stats.chi2_contingency([[500, 400, 30], [110, 80, 3]], correction=False)
    assert chi_square(baseline, window) == pytest.approx((expected.statistic, expected.dof, expected.pvalue))
    assert chi_square(baseline, window_of(baseline, ["a"] * 3)) == (0, 0, 1)


def test_false_alarms_stay_at_the_nominal_rate() -> None:
    random = np.random.default_rng(11)
    baseline = NumericSketch.build(random.exponential(size=100_000))
    p_values = [chi_square(baseline, window_of(baseline, random.exponential(size=400))).p_value for _ in range(1000)]
    assert np.mean(np.array(p_values) < 0.05) < 0.075
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_a_change_in_nulls_is_seen() -> None:
    baseline = NumericSketch.build([*np.linspace(0, 1, 950), *[None] * 50])
    window = window_of(baseline, [*np.linspace(0, 1, 500), *[None] * 500])
    assert psi(baseline, window) > 0.25
    assert chi_square(baseline, window).p_value < 1e-6
    assert wasserstein(baseline, window) < 0.02


@pytest.mark.parametrize("measure", [psi, jensen_shannon, chi_square, wasserstein])
def test_what_cannot_be_compared(measure: Any) -> None:
    baseline = NumericSketch.build([1.0, 2.0, 3.0])
    with pytest.raises(SketchError, match="values on both sides"):
        measure(baseline, baseline.empty_like())
    with pytest.raises(SketchError, match="cells differ"):
        measure(baseline, NumericSketch.build([1.0, 5.0, 9.0]))
    with pytest.raises(SketchError, match="cells differ"):
        measure(baseline, CategorySketch.build(["a"]))
