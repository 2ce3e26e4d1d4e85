"""Paired bootstrap of the difference of a metric between two scores of the same rows.

Rows are drawn with replacement, the same rows for both scores. The bound is a one-sided percentile bound. Source: Efron
and Tibshirani (1993), "An Introduction to the Bootstrap", chapters 8 (paired data) and 13 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from capstan_registry.jobs.metrics import Floats, oriented, row_values

SEED: Final = 20_130_101
CELLS: Final = 2_000_000
"""Drawn rows held at once: batch of resamples times rows."""

Rows = npt.NDArray[np.int32]
Statistic = Callable[[Rows], Floats]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Resampled differences candidate - champion, oriented so that more is better."""

    differences: Floats
    undefined: int
    """Resamples in which the metric is not defined (one class only)."""

    def upper_bound(self, confidence: float) -> float:
        """The one-sided upper bound of the difference."""
        return float(np.quantile(self.differences, confidence))

    def lower_bound(self, confidence: float) -> float:
        """The one-sided lower bound of the difference."""
        return float(np.quantile(self.differences, 1 - confidence))


def compare(
    metric: str,
    labels: Floats,
    candidate: Floats,
    champion: Floats,
    *,
    resamples: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Resample and compare. The seed is fixed: the same rows give the same answer."""
    of_candidate, of_champion = _statistic(metric, labels, candidate), _statistic(metric, labels, champion)
    parts, done = [], 0
    for drawn in _resampled_rows(len(labels), resamples):
        parts.append(of_candidate(drawn) - of_champion(drawn))
        done += len(drawn)
        progress(done, resamples)
    differences = np.concatenate(parts)
    defined = differences[~np.isnan(differences)]
    return Comparison(np.array([oriented(metric, 1.0)]) * defined, len(differences) - len(defined))


def _resampled_rows(rows: int, resamples: int) -> Iterator[Rows]:
    """Which rows are drawn, [batch, rows]."""
    random = np.random.default_rng(SEED)
    batch = max(1, min(resamples, CELLS // max(rows, 1)))
    for start in range(0, resamples, batch):
        yield random.integers(0, rows, size=(min(batch, resamples - start), rows), dtype=np.int32)


def _statistic(metric: str, labels: Floats, scores: Floats) -> Statistic:
    if metric == "auc":
        return _resampled_auc(labels, scores)
    values = row_values(metric, labels, scores)
    return lambda drawn: np.asarray(values[drawn].mean(axis=1), dtype=np.float64)


def _resampled_auc(labels: Floats, scores: Floats) -> Statistic:
    """AUC from counts per distinct score: pairs won by the positive, ties as one half, over all pairs."""
    distinct, group = np.unique(scores, return_inverse=True)
    width = len(distinct)
    cell = np.where(labels == 1, group, group + width)

    def statistic(drawn: Rows) -> Floats:
        size = len(drawn)
        cells = cell[drawn]
        cells += np.arange(size)[:, None] * (2 * width)
        counts = np.bincount(cells.ravel(), minlength=size * 2 * width).reshape(size, 2, width)
        positive, negative = counts[:, 0], counts[:, 1]
        not_above = np.cumsum(negative, axis=1)
        pairs = positive.sum(axis=1) * not_above[:, -1]
        twice_won = (positive * (2 * not_above - negative)).sum(axis=1)
        shares: Floats = np.divide(twice_won, 2 * pairs, out=np.full(size, np.nan), where=pairs > 0)
        return shares

    return statistic
