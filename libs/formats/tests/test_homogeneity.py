"""The test of drift: exact where cells are rare, never silent about one that was never seen, honest without drift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from capstan_formats.sketches import CategorySketch, NumericSketch, SketchError, at_least, at_most, homogeneity

Values = list[Any]


def compared(before: Values, now: Values) -> float:
    numeric = isinstance(before[0], float)
    baseline = NumericSketch.build(before) if numeric else CategorySketch.build(before)
    window = baseline.empty_like()
    window.update(now)
    return homogeneity(baseline, window).p_value


@pytest.mark.parametrize("rows", [20, 500, 1_000, 3_000])
@pytest.mark.parametrize("baseline_rows", [3_000, 50_000, 300_000])
@pytest.mark.parametrize(
    ("before", "now"), [(1.0, 2.0), (0.0, 1.0), ("EWR", "JFK"), (1.0, None), ("EWR", None), (5.0, -5.0)]
)
def test_a_constant_that_changes_is_seen_however_large_the_baseline(
    before: Any, now: Any, baseline_rows: int, rows: int
) -> None:
    assert compared([before] * baseline_rows, [now] * rows) < 1e-12
    assert compared([before] * baseline_rows, [before] * rows) == 1


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("rows", [500, 3_000])
def test_a_value_that_was_never_seen_is_seen_in_a_part_of_the_rows(rows: int, share: float) -> None:
    random, new = np.random.default_rng(1), int(rows * share)
    known = random.choice(list("ABCD"), 50_000).tolist()
    assert compared(known, ["Z"] * new + known[: rows - new]) < 1e-9
    numbers = random.normal(10, 1, 50_000)
    now = numbers[:rows].copy()
    now[:new] *= 1000
    assert compared(numbers.tolist(), now.tolist()) < 1e-9
    assert compared([0.0] * 50_000, [1.0] * new + [0.0] * (rows - new)) < 1e-9


def test_a_rare_cell_is_asked_with_fishers_test() -> None:
    baseline = CategorySketch.build(["a"] * 9_000 + ["b"] * 4)
    window = baseline.empty_like()
    window.update(["a"] * 300 + ["b"] * 2)
    expected = stats.fisher_exact([[2, 300], [4, 9_000]], alternative="greater").pvalue
    # Two tests, two cells, two sides; a chi-square test of the only large cell has nothing to say.
    assert homogeneity(baseline, window).p_value == pytest.approx(min(1.0, 2 * 2 * 2 * expected))
    assert baseline.cell_names()[homogeneity(baseline, window).cell] in ("a", "b")


def test_many_small_changes_are_seen_by_the_chi_square_test() -> None:
    """No single one of fifty words has changed by enough."""
    shares = np.full(50, 1 / 50) * np.where(np.arange(50) % 2, 1.25, 0.75)
    random, names = np.random.default_rng(3), [f"w{n}" for n in range(50)]
    baseline = CategorySketch.build(random.choice(names, 50_000).tolist())
    window = baseline.empty_like()
    window.update(random.choice(names, 3_000, p=shares / shares.sum()).tolist())
    counts = np.array([baseline.cell_counts(), window.cell_counts()])[:, :50]
    expected = stats.chi2_contingency(counts, correction=False).pvalue
    assert homogeneity(baseline, window).p_value == pytest.approx(2 * expected, rel=1e-6)


@pytest.mark.parametrize(
    "table", [(0, 5, 3, 9), (3, 40, 8, 500), (200, 800, 900, 9100), (1, 499, 0, 90_000), (7, 7, 7, 30)]
)
def test_the_tails_are_those_of_scipy(table: tuple[int, int, int, int]) -> None:
    new, known, old_new, old_known = table
    cells, arguments = [[new, known], [old_new, old_known]], (new, new + known, new + old_new, sum(table))
    assert at_least(*arguments) == pytest.approx(stats.fisher_exact(cells, alternative="greater").pvalue, rel=1e-8)
    assert at_most(*arguments) == pytest.approx(stats.fisher_exact(cells, alternative="less").pvalue, rel=1e-8)


def test_rows_beyond_what_was_seen_are_as_many_as_chance_makes_them() -> None:
    """The largest of N values is passed by a share of 1 / (N + 1) of the next ones: the exact test knows that."""
    random, told = np.random.default_rng(7), 0
    for _ in range(400):
        baseline = NumericSketch.build(random.normal(size=200))
        window = baseline.empty_like()
        window.update(random.normal(size=4_000))
        told += homogeneity(baseline, window).p_value < 0.05
    assert told <= stats.binom.ppf(0.999, 400, 0.05)


def test_sketches_that_do_not_belong_together_are_refused() -> None:
    baseline = NumericSketch.build([1.0, 2.0])
    with pytest.raises(SketchError, match="values on both sides"):
        homogeneity(baseline, baseline.empty_like())
    with pytest.raises(SketchError, match="not made from this baseline"):
        homogeneity(baseline, NumericSketch.build([1.0, 3.0]))
