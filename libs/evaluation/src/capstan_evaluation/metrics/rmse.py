"""Root of the mean squared error."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from capstan_evaluation import intervals
from capstan_evaluation.arrays import Floats
from capstan_evaluation.intervals import Interval
from capstan_evaluation.metric import CONFIDENCE, NOT_NEGATIVE, VALUES, MeansMetric
from capstan_evaluation.resampling import quiet
from capstan_evaluation.sample import Sample


def squared_errors(sample: Sample) -> tuple[Floats, ...]:
    """(prediction - label)^2."""
    return (np.square(sample.predictions - sample.labels),)


def root(means: tuple[Floats, ...]) -> Floats:
    """Of the one mean there is."""
    return np.asarray(np.sqrt(means[0]))


class Rmse(MeansMetric):
    """A monotone function of one mean, so that the interval of the mean gives that of the root."""

    def interval(self, sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
        """Roots of the ends of the interval of the mean squared error; None where that has none. Unsuitable."""
        self.require(sample)
        with quiet():
            of_square = intervals.of_mean(squared_errors(sample)[0], confidence, self.limits)
        if of_square is None:
            return None
        return Interval(
            math.sqrt(of_square.low), math.sqrt(of_square.high), confidence, f"{of_square.method}, of the square"
        )


RMSE: Final = Rmse(
    name="rmse",
    needs=VALUES,
    unit="label",
    higher_is_better=False,
    limits=NOT_NEGATIVE,
    undefined_when="there is no row",
    source="Hyndman and Koehler (2006), Another look at measures of forecast accuracy, section 2.1",
    parts=squared_errors,
    combine=root,
)
