"""A part of the rows that moves is told from a whole column that moves, on the shares that theory gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from capstan_formats.sketches import NumericSketch, SketchError, moved_slice, psi

ROWS = 1_000_000
Shares = npt.NDArray[np.float64]


def normal(mean: float = 0.0, bins: int = 10) -> Shares:
    """Share of a normal column in each quantile bin of the standard one, with none beyond the outermost."""
    return np.asarray(np.diff(norm.cdf(norm.ppf(np.linspace(0, 1, bins + 1)) - mean)), dtype=np.float64)


def sketch(shares: Shares) -> NumericSketch:
    found = NumericSketch.over(np.arange(len(shares) + 1, dtype=np.float64))
    found.counts = np.concatenate([[0], np.rint(shares * ROWS).astype(np.int64), [0]])
    return found


def moved(shares: Shares) -> float:
    return moved_slice(sketch(normal(bins=len(shares))), sketch(shares))


def part(share: float, by: float, bins: int = 10) -> Shares:
    """That share of the rows moves, whatever they were."""
    return (1 - share) * normal(bins=bins) + share * normal(by, bins)


@pytest.mark.parametrize(
    ("share", "by", "expected"), [(0.1, 2, 0.062), (0.1, -2, 0.062), (0.1, 5, 0.09), (0.05, 3, 0.042), (0.2, 2, 0.124)]
)
def test_a_slice_that_moves_is_the_share_that_arrived(share: float, by: float, expected: float) -> None:
    assert moved(part(share, by)) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(("by", "expected"), [(0.1, 0.006), (0.25, 0.023), (-0.25, 0.023), (0.45, 0.062), (2, 0.622)])
def test_a_whole_column_that_moves_counts_less(by: float, expected: float) -> None:
    assert moved(normal(by)) == pytest.approx(expected, abs=0.001)


def test_a_slice_and_a_shift_of_the_same_psi_are_told_apart() -> None:
    """PSI has 0.04 of a tenth that moves by two deviations and 0.05 of all rows that move by 0.23."""
    before = sketch(normal())
    assert psi(before, sketch(part(0.1, 2))) < psi(before, sketch(normal(0.23)))
    assert moved(part(0.1, 2)) > 3 * moved(normal(0.23))


def test_where_it_arrived_does_not_matter() -> None:
    middle = 0.9 * normal()
    middle[4] += 0.1
    assert moved(middle) == pytest.approx(0.09, abs=0.001)


@pytest.mark.parametrize("bins", [10, 20, 24, 50, 1000])
def test_it_hardly_depends_on_the_number_of_bins(bins: int) -> None:
    assert moved(part(0.1, 2, bins)) == pytest.approx(0.063, abs=0.004)


def test_what_spreads_to_both_sides_is_no_slice() -> None:
    edges = norm.ppf(np.linspace(0, 1, 11))
    assert moved(np.asarray(np.diff(norm.cdf(edges / 1.5)), dtype=np.float64)) == 0


def test_a_constant_that_changes_has_moved_whole() -> None:
    baseline = NumericSketch.build([1.0] * 1000)
    window = baseline.empty_like()
    window.update([2.0] * 500)
    assert moved_slice(baseline, window) == 1
    assert moved_slice(baseline, baseline) == 0


def test_nulls_and_infinities_do_not_count() -> None:
    values = np.random.default_rng(1).normal(0, 1, 5000)
    baseline, window = NumericSketch.build(values), NumericSketch.build(values)
    window.update([None, float("inf")] * 5000)
    assert moved_slice(baseline, window) == 0


def test_chance_is_taken_off() -> None:
    """Of 3,000 rows a slice has as much as of a million, and no drift makes at most two thirds of it in 200 windows."""
    random = np.random.default_rng(2)
    baseline = NumericSketch.build(random.normal(0, 1, 50_000))
    quiet: list[float] = []
    slices: list[float] = []
    for _ in range(200):
        for found, share in ((quiet, 0.0), (slices, 0.1)):
            values = random.normal(0, 1, 3000) + np.where(random.random(3000) < share, 2.0, 0.0)
            window = baseline.empty_like()
            window.update(values)
            found.append(moved_slice(baseline, window))
    assert max(quiet) < 0.041
    assert np.mean(slices) == pytest.approx(0.062, abs=0.004)


def test_sketches_that_do_not_fit() -> None:
    with pytest.raises(SketchError, match="cells differ"):
        moved_slice(sketch(normal()), sketch(normal(bins=20)))
    with pytest.raises(SketchError, match="on both sides"):
        moved_slice(sketch(normal()), sketch(normal()).empty_like())
    nowhere = NumericSketch.over(np.array([0.0, 1.0]))
    nowhere.counts = np.array([30, 40, 30])
    assert moved_slice(nowhere, nowhere) == 0  # no place is narrow enough
