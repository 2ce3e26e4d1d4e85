"""Whether probabilities mean what they say: the calibration curve and the expected calibration error.

Bins of equal width over [0, 1], as in Naeini, Cooper and Hauskrecht (AAAI 2015) and Guo et al. (ICML 2017); a
probability on an edge belongs to the bin below it, as in scikit-learn. The error of a sample is above that of the
model, by chance within each bin and the more so the fewer rows a bin has. Compare models by `brier` or `logloss`, whose
intervals cover; look here to see where a model is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from capstan_evaluation import intervals
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.intervals import Interval
from capstan_evaluation.metric import CONFIDENCE
from capstan_evaluation.sample import Need, Sample

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Items whose probability of class 1 lies above `low` and at most at `high` (the first bin holds 0, too)."""

    low: float
    high: float
    rows: int
    said: float
    """Mean of the probabilities."""
    happened: float
    """Share of items of class 1."""
    interval: Interval
    """Of that share, Wilson's."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Bins that hold items, in the order of their probability, and what they say together."""

    rows: int
    bins: tuple[Bin, ...]

    @property
    def error(self) -> float | None:
        """Expected calibration error: |said - happened|, weighted by the rows of the bins. None without rows."""
        if not self.bins:
            return None
        misses = [abs(bin_.said - bin_.happened) for bin_ in self.bins]
        return float(np.average(misses, weights=[bin_.rows for bin_ in self.bins]))


def calibration(sample: Sample, *, bins: int = BINS, confidence: float = CONFIDENCE) -> Calibration:
    """The curve of a binary sample with probabilities. Unsuitable for another one, ValueError without bins."""
    if sample.task != "binary" or Need.PROBABILITY not in sample.has:
        raise Unsuitable(f"calibration needs {Need.PROBABILITY.value}, and a label of 0 or 1")
    if bins < 1:
        raise ValueError(f"a curve has at least one bin, not {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.searchsorted(edges[1:-1], sample.predictions)
    rows = np.bincount(places, minlength=bins)
    said = np.bincount(places, sample.predictions, minlength=bins)
    happened = np.bincount(places, sample.labels, minlength=bins)
    curve = []
    for number in np.flatnonzero(rows).tolist():
        count = int(rows[number])
        share = float(happened[number] / count)
        interval = intervals.of_share(share, count, confidence)
        assert interval is not None  # a bin has a row at least
        low, high = float(edges[number]), float(edges[number + 1])
        curve.append(Bin(low, high, count, float(said[number] / count), share, interval))
    return Calibration(sample.rows, tuple(curve))
