"""Accuracy: the share of items that were decided rightly."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import ANY_PROBABILITIES, ONE_POINT, SHARE, HitsMetric
from capstan_evaluation.sample import Sample


def hits(sample: Sample) -> Floats:
    """1 where the class decided for is the true one, else 0."""
    return np.asarray(sample.decisions() == sample.label_codes(), dtype=np.float64)


ACCURACY: Final = HitsMetric(
    name="accuracy",
    needs=ANY_PROBABILITIES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="there is no row",
    source="Share of right decisions: probability of at least 0.5, or the most probable class (the first of equals)",
    per_item=hits,
)
