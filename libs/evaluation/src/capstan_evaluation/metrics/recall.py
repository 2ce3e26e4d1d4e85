"""Recall: the share of the items of class 1 that were decided for class 1."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import ONE_POINT, PROBABILITIES, SHARE, ShareMetric
from capstan_evaluation.sample import Sample


def hits_and_positives(sample: Sample) -> tuple[Floats, Floats]:
    """Rightly decided for class 1; of class 1."""
    return np.asarray(sample.decisions() * sample.labels, dtype=np.float64), sample.labels


RECALL: Final = ShareMetric(
    name="recall",
    needs=PROBABILITIES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="no label is 1",
    source="van Rijsbergen (1979), Information Retrieval, chapter 7; cut at 0.5, interval by Wilson given the labels",
    hits_and_trials=hits_and_positives,
)
