"""Average precision: the area under the steps of the precision-recall curve."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from capstan_evaluation.arrays import Drawn, Floats, Statistic
from capstan_evaluation.metric import ONE_POINT, SCORES, SHARE, Metric
from capstan_evaluation.ranks import Counts, ScoreCounts
from capstan_evaluation.sample import Sample


class AveragePrecision(Metric):
    """The precision at each distinct score, weighted by the recall that is gained there; not interpolated."""

    def measure(self, sample: Sample) -> float:
        """The sum over the distinct scores; NaN without positives."""
        if not sample.labels.any():
            return math.nan
        positive, negative = ScoreCounts(sample).of(np.arange(sample.rows, dtype=np.int32)[None, :])
        return float(_areas(positive, negative)[0])

    def statistic(self, sample: Sample) -> Statistic:
        """From counts per distinct score."""
        self.require(sample)
        counts = ScoreCounts(sample)
        return lambda drawn: _of(counts, drawn)


def _of(counts: ScoreCounts, drawn: Drawn) -> Floats:
    return _areas(*counts.of(drawn))


def _areas(positive: Counts, negative: Counts) -> Floats:
    """Of counts per ascending score, [resamples, scores]; NaN without positives."""
    gained, lost = positive[:, ::-1], negative[:, ::-1]
    hits = np.cumsum(gained, axis=1)
    chosen = hits + np.cumsum(lost, axis=1)
    precision = np.divide(hits, chosen, out=np.zeros(hits.shape), where=chosen > 0)
    total = hits[:, -1]
    area: Floats = np.divide((gained * precision).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
    return area


AVERAGE_PRECISION: Final = AveragePrecision(
    name="average_precision",
    needs=SCORES,
    unit="share",
    higher_is_better=True,
    limits=SHARE,
    margin=ONE_POINT,
    undefined_when="no label is 1",
    source="Manning, Raghavan and Schuetze (2008), Introduction to Information Retrieval, section 8.4",
)
