"""Macro F1: the mean of the F1 of each class."""

from __future__ import annotations

from typing import Final

import numpy as np

from capstan_evaluation.arrays import Drawn, Floats, Statistic
from capstan_evaluation.metric import CLASSES, ONE_POINT, SHARE, Metric
from capstan_evaluation.ranks import tally
from capstan_evaluation.sample import Sample


class MacroF1(Metric):
    """Over the classes that are among the labels or the decisions, each with the same weight."""

    def measure(self, sample: Sample) -> float:
        """Of all items once."""
        return float(self.statistic(sample)(np.arange(sample.rows, dtype=np.int32)[None, :])[0])

    def statistic(self, sample: Sample) -> Statistic:
        """From counts per class: hits, decisions, labels."""
        self.require(sample)
        labels, decided, width = sample.label_codes(), sample.decisions(), len(sample.classes)
        hit = np.where(labels == decided, labels, width)

        def mean(drawn: Drawn) -> Floats:
            hits = tally(hit, drawn, width + 1)[:, :width]
            total = tally(labels, drawn, width) + tally(decided, drawn, width)
            present = total > 0
            each = np.divide(2 * hits, total, out=np.zeros(total.shape), where=present)
            return np.asarray(each.sum(axis=1) / present.sum(axis=1), dtype=np.float64)

        return mean


MACRO_F1: Final = MacroF1(
    name="macro_f1",
    needs=CLASSES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="there is no row",
    source="Lewis (1991), Evaluating text categorization; classes neither labelled nor decided for are left out",
)
