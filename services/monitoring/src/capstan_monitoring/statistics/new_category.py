"""Share of words that the training data does not name."""

from __future__ import annotations

import math

from capstan_contracts.kinds.statistics import NewCategorySpec
from capstan_formats.sketches import CategorySketch, SketchError
from capstan_monitoring.statistics.port import AnySketch, Measured


class NewCategory:
    """By how much the share of words outside the baseline's vocabulary has grown, nulls left out; never below 0.

    The baseline names its 50 most frequent words, so rarer ones that were there in training count on both sides and
    cancel. The model has no code for a word that it never saw, hence a floor of 0.05: one row in twenty is answered
    without that column. The p-value is the one-sided one of Fisher's exact test (hypergeometric tail), since the cell
    is usually empty in training, where a chi-square test cannot speak.
    """

    spec = NewCategorySpec
    unit = "share"
    floor = 0.05

    def measure(self, baseline: AnySketch, window: AnySketch, spec: NewCategorySpec) -> Measured:
        """Category sketches with words on both sides. SketchError otherwise."""
        if not (isinstance(baseline, CategorySketch) and isinstance(window, CategorySketch)):
            raise SketchError("new categories are those of words")
        if baseline.vocabulary != window.vocabulary:
            raise SketchError("the window was not made from this baseline: its cells differ")
        before, now = baseline.total - baseline.nulls, window.total - window.nulls
        if not before or not now:
            raise SketchError("a share needs words on both sides")
        grown = window.other / now - baseline.other / before
        return Measured(max(0.0, grown), at_least(window.other, now, baseline.other + window.other, before + now))

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently has nothing like it among its drift methods."""
        return None


def at_least(successes: int, drawn: int, marked: int, total: int) -> float:
    """P(X >= successes) of a hypergeometric X: `drawn` of `total` without replacement, of which `marked` count.

    Exact up to rounding (log-gamma); sums from the mode outward, so the cost is a few standard deviations of terms.
    """
    low, high = max(0, drawn + marked - total), min(drawn, marked)
    if successes <= low:
        return 1.0
    mode = (drawn + 1) * (marked + 1) // (total + 2)
    if successes > mode:
        return min(
            1.0, math.exp(_log_share(successes, drawn, marked, total)) * _tail(successes, high, drawn, marked, total)
        )
    below = successes - 1
    falling = 1.0
    term = 1.0
    for found in range(below, low, -1):
        term *= found * (total - drawn - marked + found) / ((drawn - found + 1) * (marked - found + 1))
        falling += term
        if term < falling * 1e-17:
            break
    return max(0.0, 1.0 - math.exp(_log_share(below, drawn, marked, total)) * falling)


def _tail(start: int, high: int, drawn: int, marked: int, total: int) -> float:
    """Sum of P(found) / P(start) for found from start to high: falls, since start lies above the mode."""
    sum_, term = 1.0, 1.0
    for found in range(start, high):
        term *= (drawn - found) * (marked - found) / ((found + 1) * (total - drawn - marked + found + 1))
        sum_ += term
        if term < sum_ * 1e-17:
            break
    return sum_


def _log_share(found: int, drawn: int, marked: int, total: int) -> float:
    return _log_choose(marked, found) + _log_choose(total - marked, drawn - found) - _log_choose(total, drawn)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


NEW_CATEGORY = NewCategory()
