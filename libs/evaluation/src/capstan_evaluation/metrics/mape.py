"""Mean absolute percentage error, as a share of the label (0.1 is 10 %)."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import NOT_NEGATIVE, VALUES, MeanMetric, ratio
from capstan_evaluation.sample import Sample


def relative_errors(sample: Sample) -> Floats:
    """|prediction - label| / |label|; NaN where the label is 0, so that the mean is not defined."""
    return ratio(np.abs(sample.predictions - sample.labels), np.abs(sample.labels))


MAPE: Final = MeanMetric(
    name="mape",
    needs=VALUES,
    unit="share",
    higher_is_better=False,
    limits=NOT_NEGATIVE,
    undefined_when="no error is relative to a label that is 0 or next to it",
    source="Hyndman and Koehler (2006), 2.2; with a label of 0 it is not defined (neither huge nor of the other items)",
    per_item=relative_errors,
)
