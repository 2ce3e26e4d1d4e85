"""Logarithmic loss of probabilities."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.metric import ANY_PROBABILITIES, NOT_NEGATIVE, MeanMetric
from capstan_evaluation.sample import Sample

EPSILON: Final = float(np.finfo(np.float64).eps)
"""Probabilities are kept so far from 0 and 1, as scikit-learn does: sure and wrong costs 36 nat, not an infinity."""


def losses(sample: Sample) -> Floats:
    """Minus the logarithm of the probability that the true class was given."""
    inside = np.clip(sample.predictions, EPSILON, 1 - EPSILON)
    if sample.task == "multiclass":
        return np.asarray(-np.log(inside[np.arange(sample.rows), sample.label_codes()]))
    labels = sample.labels
    return np.asarray(-(labels * np.log(inside) + (1 - labels) * np.log1p(-inside)))


LOGLOSS: Final = MeanMetric(
    name="logloss",
    needs=ANY_PROBABILITIES,
    unit="nat",
    higher_is_better=False,
    limits=NOT_NEGATIVE,
    undefined_when="there is no row",
    source="Good (1952), Rational decisions; probabilities are clipped at 2.2e-16, as by scikit-learn",
    per_item=losses,
)
