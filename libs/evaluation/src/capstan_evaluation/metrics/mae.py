"""Mean absolute error."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import NOT_NEGATIVE, VALUES, MeanMetric
from capstan_evaluation.sample import Sample


def absolute_errors(sample: Sample) -> Floats:
    """|prediction - label|."""
    return np.abs(sample.predictions - sample.labels)


MAE: Final = MeanMetric(
    name="mae",
    needs=VALUES,
    unit="label",
    higher_is_better=False,
    limits=NOT_NEGATIVE,
    undefined_when="there is no row",
    source="Willmott and Matsuura (2005), Advantages of the mean absolute error over the root mean square error",
    per_item=absolute_errors,
)
