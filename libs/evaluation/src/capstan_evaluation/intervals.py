"""Confidence intervals, two-sided. Each returns None where there are too few items for one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.quantiles import t_quantile

_HALVINGS: Final = 60
_EQUAL: Final = 1e-12
"""A range under this share of the largest value is rounding: the values are equal."""
TAIL: Final = 10
"""Resamples that a tail must hold before its quantile is read off them."""
ANYWHERE: Final = (-math.inf, math.inf)
_STRAIGHT: Final = 1e-6
"""A skewness under which Hall's transformation is the identity, to the last digits of a float."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, in the metric's unit, and the method by which it was found."""

    low: float
    high: float
    confidence: float
    method: str


def z_of(confidence: float) -> float:
    """Standard deviations on either side that hold this share of a normal distribution: 1.96 of 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, and {confidence} does not")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def of_mean(values: Floats, confidence: float, limits: tuple[float, float]) -> Interval | None:
    """Of the mean of independent values; None for under two, for equal ones, or with one not finite.

    Errors are skewed, and the normal interval of a skewed mean misses the truth on one side: of 50 squared errors in
    8 % of the cases instead of 2.5. Hall (1992), "On the Removal of Skewness by Transformation", J. R. Statist. Soc. B
    54, the cubic transformation, with Student's quantiles.
    """
    count = len(values)
    if count < 2 or not np.isfinite(values).all():
        return None
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if np.ptp(values) <= _EQUAL * np.abs(values).max() or not math.isfinite(spread):
        return None
    skewness = float((((values - mean) / spread) ** 3).mean())
    quantile = t_quantile((1 + confidence) / 2, count - 1) / math.sqrt(count)
    low, high = (mean - spread * _unskewed(side * quantile, skewness, count) for side in (1, -1))
    return Interval(max(low, limits[0]), min(high, limits[1]), confidence, "Hall")


def _unskewed(quantile: float, skewness: float, count: int) -> float:
    """The inverse of Hall's transformation: which studentized mean (by 1, not by the root of n) has this quantile."""
    if abs(skewness) < _STRAIGHT:
        return quantile
    return 3 / skewness * (math.cbrt(1 + skewness * (quantile - skewness / (6 * count))) - 1)


def by_score(
    value: float, variance: Callable[[float], float], confidence: float, limits: tuple[float, float], method: str
) -> Interval:
    """All truths from which `value` lies no further than so many of *their* standard errors: never of no width.

    `variance` gives that of the estimate where the truth is its argument.
    """
    square = z_of(confidence) ** 2

    def end(outside: float) -> float:
        inside = value
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if (middle - value) ** 2 > square * variance(middle):
                outside = middle
            else:
                inside = middle
        return inside

    return Interval(end(limits[0]), end(limits[1]), confidence, method)


def of_share(share: float, trials: float, confidence: float) -> Interval | None:
    """Of a share of hits in trials by the score test: Wilson, J. Am. Stat. Assoc. 22 (1927). None without trials."""
    if trials < 1:
        return None
    z = z_of(confidence)
    weight = z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), confidence, "Wilson")


def of_resamples(
    values: Floats, confidence: float, *, value: float | None = None, limits: tuple[float, float] = ANYWHERE
) -> Interval | None:
    """Of bootstrapped values: their percentiles, Efron and Tibshirani (1993), chapter 13.

    Where fewer than `TAIL` resamples lie in a tail, as for a confidence sequence, there is no percentile that could be
    read off them: they would stop widening at the outermost one. Then z bootstrap standard errors on either side of
    `value` (by default the mean of the resamples), chapter 12, cut at the limits.

    Values that are NaN (not defined in that resample) are left out; None when they are more than half.
    """
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    tail = (1 - confidence) / 2
    if tail * len(defined) >= TAIL:
        low, high = np.quantile(defined, (tail, 1 - tail))
        return Interval(float(low), float(high), confidence, "bootstrap percentile")
    middle = float(defined.mean()) if value is None else value
    half = z_of(confidence) * float(defined.std())
    return Interval(
        max(middle - half, limits[0]), min(middle + half, limits[1]), confidence, "bootstrap standard error"
    )
