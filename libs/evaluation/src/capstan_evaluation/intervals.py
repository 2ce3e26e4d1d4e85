"""Confidence intervals, two-sided. Each returns None where there are too few items for one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from capstan_evaluation.arrays import Floats


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


def around(value: float, deviation: float, confidence: float, limits: tuple[float, float], method: str) -> Interval:
    """Normal interval of a value with this standard error, cut at the limits of what the value can be."""
    half = z_of(confidence) * deviation
    return Interval(max(value - half, limits[0]), min(value + half, limits[1]), confidence, method)


def of_mean(values: Floats, confidence: float, limits: tuple[float, float]) -> Interval | None:
    """Of the mean of independent values by the central limit theorem; None for under two or with one not finite."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    deviation = float(values.std(ddof=1)) / math.sqrt(len(values))
    return around(float(values.mean()), deviation, confidence, limits, "normal")


def of_share(share: float, trials: float, confidence: float) -> Interval | None:
    """Of a share of hits in trials by the score test: Wilson, J. Am. Stat. Assoc. 22 (1927). None without trials."""
    if trials < 1:
        return None
    z = z_of(confidence)
    weight = z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), confidence, "Wilson")


def of_resamples(values: Floats, confidence: float) -> Interval | None:
    """Percentile interval of bootstrapped values: Efron and Tibshirani (1993), chapter 13.

    Values that are NaN (not defined in that resample) are left out; None when they are more than half.
    """
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Interval(float(low), float(high), confidence, "bootstrap percentile")
