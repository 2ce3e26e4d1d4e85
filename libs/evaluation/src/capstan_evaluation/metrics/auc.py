"""Area under the ROC curve."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from capstan_evaluation import intervals
from capstan_evaluation.arrays import Drawn, Floats, Statistic
from capstan_evaluation.intervals import Interval
from capstan_evaluation.metric import CONFIDENCE, ONE_POINT, SCORES, SHARE, Metric
from capstan_evaluation.ranks import ScoreCounts, midranks
from capstan_evaluation.sample import Sample


class Auc(Metric):
    """The share of pairs of one positive and one negative in which the positive has the higher score, ties half."""

    def measure(self, sample: Sample) -> float:
        """The Mann-Whitney statistic by mid-ranks."""
        labels = sample.labels
        positive = int(labels.sum())
        negative = sample.rows - positive
        if positive == 0 or negative == 0:
            return math.nan
        rank_sum = float(midranks(sample.predictions)[labels == 1].sum())
        return (rank_sum - positive * (positive + 1) / 2) / (positive * negative)

    def interval(self, sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
        """By Newcombe's score method, widened where DeLong's variance is greater; None without two of either class.

        Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2",
        Statistics in Medicine 25, method 5, covers where the AUC is near 1 and where no pair is out of order: DeLong's
        own interval has no width then. Its variance supposes classes of the same spread; where DeLong's (1988, in
        O(n log n) by Sun and Xu, IEEE Signal Processing Letters 21, 2014) says more, that factor widens it. Unsuitable.
        """
        self.require(sample)
        positive, negative = sample.predictions[sample.labels == 1], sample.predictions[sample.labels != 1]
        m, n = len(positive), len(negative)
        if m < 2 or n < 2:
            return None
        auc, delong = delongs_variance(positive, negative)
        at_auc = newcombes_variance(auc, m, n)
        factor = max(1.0, delong / at_auc) if at_auc > 0 else 1.0
        return intervals.by_score(
            auc, lambda truth: factor * newcombes_variance(truth, m, n), confidence, self.limits, "Newcombe"
        )

    def statistic(self, sample: Sample) -> Statistic:
        """From counts per distinct score: pairs won by the positive, ties as one half, over all pairs."""
        self.require(sample)
        counts = ScoreCounts(sample)

        def shares(drawn: Drawn) -> Floats:
            positive, negative = counts.of(drawn)
            not_above = np.cumsum(negative, axis=1)
            pairs = positive.sum(axis=1) * not_above[:, -1]
            twice_won = (positive * (2 * not_above - negative)).sum(axis=1)
            won: Floats = np.divide(twice_won, 2 * pairs, out=np.full(len(drawn), np.nan), where=pairs > 0)
            return won

        return shares


def delongs_variance(positive: Floats, negative: Floats) -> tuple[float, float]:
    """AUC, and the variance of its estimate from how much each item's share of pairs won differs from the others'."""
    m, n = len(positive), len(negative)
    ranks = midranks(np.concatenate([positive, negative]))
    above = (ranks[:m] - midranks(positive)) / n
    below = 1 - (ranks[m:] - midranks(negative)) / m
    return float(above.mean()), float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n


def newcombes_variance(truth: float, m: int, n: int) -> float:
    """Of the AUC's estimate from m positive and n negative items, where the AUC is `truth`: his equation 5."""
    others = (m + n) / 2 - 1
    return truth * (1 - truth) * (1 + others * ((1 - truth) / (2 - truth) + truth / (1 + truth))) / (m * n)


AUC: Final = Auc(
    name="auc",
    needs=SCORES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="the label has one class only",
    source="Hanley and McNeil (1982), The meaning and use of the area under a receiver operating characteristic curve",
)
