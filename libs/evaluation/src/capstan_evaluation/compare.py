"""Paired comparison of two models on the same items, by the bootstrap: the same rows are drawn for both.

The bounds are one-sided percentile bounds. Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap",
chapters 8 (paired data) and 13 (percentile interval); for few items expanded as `quantiles.expanded_tail` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from capstan_evaluation.arrays import Drawn, Floats
from capstan_evaluation.errors import InvalidSample, Unsuitable
from capstan_evaluation.metric import Metric
from capstan_evaluation.quantiles import expanded_tail
from capstan_evaluation.resampling import RESAMPLES, SEED, Progress, resample, silent
from capstan_evaluation.sample import Sample

METHOD: Final = "paired bootstrap, expanded one-sided percentile bound (Efron and Tibshirani 1993, Hesterberg 2015)"


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Resampled differences candidate - champion, oriented so that more is better."""

    differences: Floats
    undefined: int
    """Resamples in which the metric is not defined (of auc: one class only)."""

    def upper_bound(self, confidence: float, items: int | None = None) -> float:
        """The one-sided upper bound of the difference, expanded for so many items. Unsuitable without a resample."""
        return self._quantile(1 - (1 - confidence if items is None else expanded_tail(confidence, items)))

    def lower_bound(self, confidence: float, items: int | None = None) -> float:
        """The one-sided lower bound of the difference, expanded for so many items. Unsuitable without a resample."""
        return self._quantile(1 - confidence if items is None else expanded_tail(confidence, items))

    @property
    def standard_error(self) -> float:
        """Of the difference: the standard deviation of the resampled ones; 0 for under two."""
        return float(self.differences.std(ddof=1)) if len(self.differences) > 1 else 0.0

    def _quantile(self, share: float) -> float:
        if not len(self.differences):
            raise Unsuitable(f"the metric is not defined in any of {self.undefined} resamples")
        return float(np.quantile(self.differences, share))


def compare(
    metric: Metric,
    candidate: Sample,
    champion: Sample,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: Progress = silent,
) -> Comparison:
    """Resample and compare. The same rows and seed give the same answer. InvalidSample, Unsuitable."""
    if candidate.rows == 0:
        raise InvalidSample("there are no rows to compare on")
    if not np.array_equal(candidate.labels, champion.labels) or candidate.classes != champion.classes:
        raise InvalidSample("candidate and champion are compared on the same items, and their labels differ")
    of_candidate, of_champion = metric.statistic(candidate), metric.statistic(champion)

    def difference(drawn: Drawn) -> Floats:
        return of_candidate(drawn) - of_champion(drawn)

    differences = resample(difference, candidate.rows, resamples=resamples, seed=seed, progress=progress)
    defined = differences[~np.isnan(differences)]
    return Comparison(np.float64(metric.oriented(1.0)) * defined, len(differences) - len(defined))
