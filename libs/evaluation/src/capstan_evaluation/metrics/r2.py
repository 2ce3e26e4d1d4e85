"""Coefficient of determination."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import ONE_POINT, VALUES, MeansMetric, ratio
from capstan_evaluation.sample import Sample

LEAST_SPREAD: Final = 1e-12
"""Labels whose variance is a smaller part of their mean square (about the overall mean) count as equal: rounding."""


def errors_and_moments(sample: Sample) -> tuple[Floats, ...]:
    """Squared errors; labels about their mean (which keeps the digits), and squares of these."""
    centred = sample.labels - sample.labels.mean()
    if np.ptp(sample.labels) == 0:
        centred = np.zeros(sample.rows)
    return np.square(sample.predictions - sample.labels), centred, np.square(centred)


def explained(means: tuple[Floats, ...]) -> Floats:
    """1 - mean squared error / variance."""
    error, mean, square = means
    variance = square - np.square(mean)
    return 1 - ratio(error, np.where(variance > LEAST_SPREAD * square, variance, 0.0))


R2: Final = MeansMetric(
    name="r2",
    needs={"regression": VALUES["regression"]},
    unit="1",
    higher_is_better=True,
    limits=(-math.inf, 1.0),
    margin=ONE_POINT,
    undefined_when="all labels are equal",
    source="Kvalseth (1985), Cautionary note about R2, equation 1: against the mean of the labels, below 0 if worse",
    parts=errors_and_moments,
    combine=explained,
)
