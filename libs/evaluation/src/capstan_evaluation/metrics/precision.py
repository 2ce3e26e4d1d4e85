"""Precision: the share of class 1 among the items decided for class 1."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import ONE_POINT, PROBABILITIES, SHARE, ShareMetric
from capstan_evaluation.sample import Sample


def hits_and_decisions(sample: Sample) -> tuple[Floats, Floats]:
    """Rightly decided for class 1; decided for class 1."""
    decided = np.asarray(sample.decisions(), dtype=np.float64)
    return decided * sample.labels, decided


PRECISION: Final = ShareMetric(
    name="precision",
    needs=PROBABILITIES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="nothing is decided for class 1",
    source="van Rijsbergen (1979), Information Retrieval, chapter 7; cut at 0.5, Wilson interval given the decisions",
    hits_and_trials=hits_and_decisions,
)
