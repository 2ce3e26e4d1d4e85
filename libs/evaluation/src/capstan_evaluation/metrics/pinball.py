"""Pinball loss of a predicted quantile."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import NOT_NEGATIVE, VALUES, MeanMetric
from capstan_evaluation.sample import Need, Sample


def pinball_losses(sample: Sample) -> Floats:
    """quantile * shortfall, or (1 - quantile) * excess."""
    short = sample.labels - sample.predictions
    quantile = sample.the_quantile()
    return np.maximum(quantile * short, (quantile - 1) * short)


PINBALL: Final = MeanMetric(
    name="pinball",
    needs={task: needs | {Need.QUANTILE} for task, needs in VALUES.items()},
    unit="label",
    higher_is_better=False,
    limits=NOT_NEGATIVE,
    undefined_when="there is no row",
    source="Koenker and Bassett (1978), Regression quantiles; of the quantile that the sample says was predicted",
    per_item=pinball_losses,
)
