"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import ONE_POINT, PROBABILITIES, SHARE, MeansMetric, ratio
from capstan_evaluation.sample import Sample


def hits_decisions_positives(sample: Sample) -> tuple[Floats, ...]:
    """Rightly decided for class 1; decided for class 1; of class 1."""
    decided = np.asarray(sample.decisions(), dtype=np.float64)
    return decided * sample.labels, decided, sample.labels


def harmonic(means: tuple[Floats, ...]) -> Floats:
    """2 hits / (decisions + positives)."""
    hits, decided, positive = means
    return ratio(2 * hits, decided + positive)


F1: Final = MeansMetric(
    name="f1",
    needs=PROBABILITIES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="no label is 1 and nothing is decided for class 1",
    source="van Rijsbergen (1979), Information Retrieval, chapter 7; cut at 0.5",
    parts=hits_decisions_positives,
    combine=harmonic,
)
