"""Ranks and counts by which order-based metrics are computed, for one sample and for many resamples at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capstan_evaluation.arrays import Codes, Drawn, Floats
from capstan_evaluation.sample import Sample

Counts = npt.NDArray[np.int64]


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return np.asarray((last - (sizes - 1) / 2)[group], dtype=np.float64)


def tally(cells: Codes, drawn: Drawn, width: int) -> Counts:
    """How often each cell number (under `width`) is among the drawn rows, [resamples, width]."""
    size = len(drawn)
    numbered = cells[drawn]
    numbered += np.arange(size)[:, None] * width
    return np.bincount(numbered.ravel(), minlength=size * width).reshape(size, width)


class ScoreCounts:
    """Labels counted per distinct score of a binary sample, the scores ascending."""

    def __init__(self, sample: Sample) -> None:
        distinct, group = np.unique(sample.predictions, return_inverse=True)
        self._width = len(distinct)
        self._cell = np.where(sample.labels == 1, group, group + self._width)

    def of(self, drawn: Drawn) -> tuple[Counts, Counts]:
        """Positives and negatives, each [resamples, distinct scores]."""
        counts = tally(self._cell, drawn, 2 * self._width)
        return counts[:, : self._width], counts[:, self._width :]
