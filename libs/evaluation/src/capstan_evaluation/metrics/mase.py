"""Mean absolute scaled error: below 1 is better than repeating the value of a season ago."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import NOT_NEGATIVE, VALUES, MeanMetric, ratio
from capstan_evaluation.sample import Need, Sample


def scaled_errors(sample: Sample) -> Floats:
    """|prediction - label| / scale of the item's series; NaN where the history never changed, so that it is 0."""
    return ratio(np.abs(sample.predictions - sample.labels), sample.scales())


MASE: Final = MeanMetric(
    name="mase",
    needs={"forecast": VALUES["forecast"] | {Need.SCALE}},
    unit="1",
    higher_is_better=False,
    limits=NOT_NEGATIVE,
    undefined_when="a series has a history that never changed (scale 0)",
    source="Hyndman and Koehler (2006), Another look at measures of forecast accuracy, section 3",
    per_item=scaled_errors,
)
