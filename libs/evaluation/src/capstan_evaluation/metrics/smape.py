"""Symmetric mean absolute percentage error, 0 to 2."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import VALUES, MeanMetric
from capstan_evaluation.sample import Sample


def symmetric_errors(sample: Sample) -> Floats:
    """|prediction - label| / ((|prediction| + |label|) / 2); 0 where both are 0."""
    size = (np.abs(sample.predictions) + np.abs(sample.labels)) / 2
    error = np.abs(sample.predictions - sample.labels)
    ratios: Floats = np.divide(error, size, out=np.zeros(sample.rows), where=size > 0)
    return ratios


SMAPE: Final = MeanMetric(
    name="smape",
    needs={"forecast": VALUES["forecast"]},
    unit="share",
    higher_is_better=False,
    limits=(0.0, 2.0),
    undefined_when="there is no row",
    source="Makridakis (1993), Accuracy measures, with absolute values in the denominator; 0 where both are 0",
    per_item=symmetric_errors,
)
