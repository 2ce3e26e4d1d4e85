"""Brier score: the squared error of a probability."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import PROBABILITIES, SHARE, MeanMetric
from capstan_evaluation.sample import Sample


def squared_errors(sample: Sample) -> Floats:
    """(probability - label)^2."""
    return np.square(sample.predictions - sample.labels)


BRIER: Final = MeanMetric(
    name="brier",
    needs=PROBABILITIES,
    unit="1",
    higher_is_better=False,
    limits=SHARE,
    undefined_when="there is no row",
    source="Brier (1950), Verification of forecasts expressed in terms of probability; of class 1 alone, 0 to 1",
    per_item=squared_errors,
)
