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
"""Counts held at once: batch of resamples times rows."""

Counts = npt.NDArray[np.float64]
Statistic = Callable[[Counts], Floats]


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
    for counts in _resampled_counts(len(labels), resamples):
        parts.append(of_candidate(counts) - of_champion(counts))
        done += len(counts)
        progress(done, resamples)
    differences = np.concatenate(parts)
    defined = differences[~np.isnan(differences)]
    return Comparison(np.array([oriented(metric, 1.0)]) * defined, len(differences) - len(defined))


def _resampled_counts(rows: int, resamples: int) -> Iterator[Counts]:
    """How often each row is drawn, [batch, rows]."""
    random = np.random.default_rng(SEED)
    batch = max(1, min(resamples, CELLS // max(rows, 1)))
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        drawn = random.integers(0, rows, size=(size, rows)) + np.arange(size)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def _statistic(metric: str, labels: Floats, scores: Floats) -> Statistic:
    if metric == "auc":
        return _weighted_auc(labels, scores)
    values = row_values(metric, labels, scores)
    return lambda counts: np.asarray(counts @ values / len(values), dtype=np.float64)


def _weighted_auc(labels: Floats, scores: Floats) -> Statistic:
    """AUC of rows that count several times: pairs won by the positive, ties as one half, over all pairs."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    is_positive = labels[order]

    def statistic(counts: Counts) -> Floats:
        drawn = counts[:, order]
        positive = np.add.reduceat(drawn * is_positive, starts, axis=1)
        negative = np.add.reduceat(drawn, starts, axis=1) - positive
        below = np.cumsum(negative, axis=1) - negative
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        won = (positive * (below + negative / 2)).sum(axis=1)
        shares: Floats = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return shares

    return statistic
