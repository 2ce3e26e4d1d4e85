"""Each statistic against SciPy on the same cells or the same values, and on the scale that its floor is meant for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy, fisher_exact, wasserstein_distance
from scipy.stats.contingency import association

from capstan_contracts.kinds.statistics import (
    ChiSquareSpec,
    JensenShannonSpec,
    NewCategorySpec,
    PsiSpec,
    WassersteinSpec,
)
from capstan_formats.sketches import CategorySketch, NumericSketch, SketchError, at_least
from capstan_monitoring.statistics.chi_square import CHI_SQUARE
from capstan_monitoring.statistics.jensen_shannon import JENSEN_SHANNON
from capstan_monitoring.statistics.new_category import NEW_CATEGORY
from capstan_monitoring.statistics.psi import PSI
from capstan_monitoring.statistics.wasserstein import WASSERSTEIN

WORDS = np.array(["AA", "B6", "DL", "EV", "UA"])


def numbers(
    shift: float, rows: int = 20_000, bins: int = 20
) -> tuple[NumericSketch, NumericSketch, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    before, now = random.normal(0, 2, rows), random.normal(2 * shift, 2, rows)
    baseline = NumericSketch.build(before, bins)
    window = baseline.empty_like()
    window.update(now)
    return baseline, window, before, now


def words(rows: int, shares: list[float], seed: int = 4) -> tuple[CategorySketch, CategorySketch]:
    random = np.random.default_rng(seed)
    baseline = CategorySketch.build(random.choice(WORDS, 8000, p=[0.4, 0.3, 0.2, 0.07, 0.03]))
    window = baseline.empty_like()
    window.update(random.choice(WORDS, rows, p=shares))
    return baseline, window


def test_psi_is_jeffreys_divergence() -> None:
    baseline, window, *_ = numbers(0.5)
    p, q = baseline.cell_counts() / baseline.total, window.cell_counts() / window.total
    seen = (p > 0) & (q > 0)
    expected = entropy(p[seen], q[seen]) + entropy(q[seen], p[seen])
    assert PSI.measure(baseline, window, PsiSpec()).effect == pytest.approx(expected, rel=0.02)  # smoothed


def test_jensen_shannon_is_that_of_scipy() -> None:
    baseline, window = words(900, [0.2, 0.2, 0.2, 0.2, 0.2])
    found = JENSEN_SHANNON.measure(baseline, window, JensenShannonSpec())
    assert found.effect == pytest.approx(jensenshannon(baseline.cell_counts(), window.cell_counts(), base=2), abs=1e-12)


@pytest.mark.parametrize(("shift", "bins", "within"), [(0.25, 200, 0.04), (0.45, 200, 0.04), (0.45, 20, 0.15)])
def test_wasserstein_is_that_of_scipy_in_deviations(shift: float, bins: int, within: float) -> None:
    """As near as the bins let it: the mass of the outer ones is spread evenly."""
    baseline, window, before, now = numbers(shift, bins=bins)
    found = WASSERSTEIN.measure(baseline, window, WassersteinSpec()).effect
    assert found == pytest.approx(wasserstein_distance(before, now) / before.std(), rel=within)


def test_chi_square_is_cramers_v_of_samples_of_one_size_whatever_the_window() -> None:
    shares = [0.3, 0.3, 0.2, 0.1, 0.1]
    baseline, window = words(8000, shares)
    found = CHI_SQUARE.measure(baseline, window, ChiSquareSpec())
    table = np.array([baseline.cell_counts(), window.cell_counts()])
    table = table[:, table.sum(axis=0) > 0]
    assert found.effect == pytest.approx(association(table, method="cramer"), abs=1e-12)
    assert found.p_value == pytest.approx(chi2_contingency(table, correction=False).pvalue, rel=1e-6)
    _, small = words(500, shares)
    assert CHI_SQUARE.measure(baseline, small, ChiSquareSpec()).effect == pytest.approx(found.effect, abs=0.05)


def test_new_category_is_the_share_that_grew_and_fishers_test() -> None:
    baseline = CategorySketch.build(["AA"] * 5000 + ["B6"] * 4990 + [f"rare{n}" for n in range(10)], top=2)
    window = baseline.empty_like()
    window.update(["AA"] * 450 + ["ZZ"] * 30 + [None] * 20)
    found = NEW_CATEGORY.measure(baseline, window, NewCategorySpec())
    assert found.effect == pytest.approx(30 / 480 - 10 / 10_000)
    expected = fisher_exact([[30, 450], [10, 9990]], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    quiet = baseline.empty_like()
    quiet.update(["AA"] * 480)
    assert NEW_CATEGORY.measure(baseline, quiet, NewCategorySpec()).effect == 0.0


@pytest.mark.parametrize(
    "table", [(0, 5, 3, 9), (3, 40, 8, 500), (200, 800, 900, 9100), (1, 499, 0, 90_000), (7, 7, 7, 30)]
)
def test_the_hypergeometric_tail_is_that_of_scipy(table: tuple[int, int, int, int]) -> None:
    new, known, old_new, old_known = table
    expected = fisher_exact([[new, known], [old_new, old_known]], alternative="greater").pvalue
    found = at_least(new, new + known, new + old_new, sum(table))
    assert found == pytest.approx(expected, rel=1e-8)


def test_the_floors_mean_the_same_shift() -> None:
    """A normal column whose mean moves by 0.45 deviations is at the floor of each statistic, within a fifth."""
    baseline, window, *_ = numbers(0.45, rows=200_000, bins=50)
    strengths = [
        PSI.measure(baseline, window, PsiSpec()).effect / PSI.floor,
        JENSEN_SHANNON.measure(baseline, window, JensenShannonSpec()).effect / JENSEN_SHANNON.floor,
        WASSERSTEIN.measure(baseline, window, WassersteinSpec()).effect / WASSERSTEIN.floor,
        CHI_SQUARE.measure(baseline, window, ChiSquareSpec()).effect / CHI_SQUARE.floor,
    ]
    assert min(strengths) > 0.8 and max(strengths) < 1.2


def test_sketches_that_do_not_fit_are_refused() -> None:
    baseline, window, *_ = numbers(0.0, rows=100)
    category, _ = words(10, [1, 0, 0, 0, 0])
    with pytest.raises(SketchError, match="needs numbers"):
        WASSERSTEIN.measure(category, category, WassersteinSpec())
    with pytest.raises(SketchError, match="those of words"):
        NEW_CATEGORY.measure(baseline, window, NewCategorySpec())
