"""Forecast: a number per item, where an item is a step of a series that has a history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from capstan_evaluation.arrays import Floats
from capstan_evaluation.errors import InvalidSample
from capstan_evaluation.sample import Need, Sample
from capstan_evaluation.tasks import checks, regression


def sample(
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    *,
    scale: npt.ArrayLike | None = None,
    quantile: float | None = None,
) -> Sample:
    """As of a regression; `scale` is `naive_scale` of the series of each item, in the label's unit. InvalidSample."""
    plain = replace(regression.sample(labels, predictions, quantile=quantile), task="forecast")
    if scale is None:
        return plain
    given = checks.numbers(scale, "the scales")
    checks.same_length(plain.rows, len(given), "scales")
    checks.finite(given, "the scales")
    checks.hold(given >= 0, given, "the scales are not negative")
    return replace(plain, scale=given, has=plain.has | {Need.SCALE})


def naive_scale(history: npt.ArrayLike, *, season: int = 1) -> float:
    """Mean absolute error, in its own history, of the forecast that repeats the value of a season ago. InvalidSample.

    The history ends before the first forecast step. Source: Hyndman and Koehler (2006), section 3.
    """
    past: Floats = checks.numbers(history, "the values of the history")
    checks.finite(past, "the values of the history")
    if season < 1 or len(past) <= season:
        raise InvalidSample(f"a history of {len(past)} values has no step that lies a season of {season} after another")
    return float(np.abs(past[season:] - past[:-season]).mean())
