"""Quantiles that the standard library does not have."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()


def t_quantile(share: float, freedom: int) -> float:
    """Of Student's t with this many degrees of freedom: 2.353 of 0.95 and 3.

    The inverse of the exact distribution function by bisection between the normal quantile and the Cauchy one, which
    are the quantiles of infinitely many degrees and of one. ValueError outside of 0 < share < 1, or under one degree.
    """
    if not 0 < share < 1 or freedom < 1:
        raise ValueError(f"there is no quantile {share} of t with {freedom} degrees of freedom")
    if share < 0.5:
        return -t_quantile(1 - share, freedom)
    low, high = 0.0, math.tan(math.pi * (share - 0.5)) + 1e-12
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_share(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def expanded_tail(confidence: float, items: int) -> float:
    """Which share of resampled values to cut off for a one-sided bound at this confidence, of so many items.

    Percentile bounds of few items are too narrow, by the factor of the variance's bias and for the variance is itself
    an estimate. The expanded percentile bound reads a quantile further out: Hesterberg (2015), "What Teachers Should
    Know about the Bootstrap", The American Statistician 69, section 3.3. ValueError under two items.
    """
    if items < 2:
        raise ValueError("one item has no bound")
    return _NORMAL.cdf(-math.sqrt(items / (items - 1)) * t_quantile(confidence, items - 1))


def _t_share(value: float, freedom: int) -> float:
    """The distribution function for value >= 0: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4.

    Beyond a thousand degrees it is the normal one of Cornish and Fisher's transformed value, right to five digits.
    """
    if freedom > 1000:
        z = value * (1 - 1 / (4 * freedom)) / math.sqrt(1 + value * value / (2 * freedom))
        return _NORMAL.cdf(z)
    angle = math.atan(value / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    square, term, total = cosine * cosine, 1.0, 1.0
    if freedom % 2 == 0:
        for step in range(2, freedom, 2):
            term *= (step - 1) / step * square
            total += term
        return 0.5 + sine * total / 2
    if freedom == 1:
        return 0.5 + angle / math.pi
    for step in range(3, freedom, 2):
        term *= (step - 1) / step * square
        total += term
    return 0.5 + (angle + sine * cosine * total) / math.pi
