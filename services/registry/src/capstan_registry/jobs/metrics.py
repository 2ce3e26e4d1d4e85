"""Metrics of binary scores. Each is `higher is better` after `oriented`; None where it is not defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
EPSILON: Final = 1e-15
LOWER_IS_BETTER: Final = frozenset({"logloss", "brier"})


def auc(labels: Floats, scores: Floats) -> float | None:
    """Area under the ROC curve as the Mann-Whitney statistic with mid-ranks for ties; None with one class only.

    Source: Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating characteristic curve".
    """
    positive = int(labels.sum())
    negative = len(labels) - positive
    if positive == 0 or negative == 0:
        return None
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    mid_ranks = last - (sizes - 1) / 2
    rank_sum = float(mid_ranks[group][labels == 1].sum())
    return (rank_sum - positive * (positive + 1) / 2) / (positive * negative)


def row_values(metric: str, labels: Floats, scores: Floats) -> Floats:
    """The value of each row for the metrics that are means over rows: logloss, brier, accuracy."""
    if metric == "logloss":
        clipped = np.clip(scores, EPSILON, 1 - EPSILON)
        return -(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped))
    if metric == "brier":
        return np.asarray((scores - labels) ** 2, dtype=np.float64)
    if metric == "accuracy":
        return np.asarray((scores >= 0.5) == (labels == 1), dtype=np.float64)
    raise KeyError(metric)


def _mean(metric: str) -> Callable[[Floats, Floats], float | None]:
    return lambda labels, scores: float(row_values(metric, labels, scores).mean()) if len(labels) else None


METRICS: Final[Mapping[str, Callable[[Floats, Floats], float | None]]] = {
    "auc": auc,
    "logloss": _mean("logloss"),
    "brier": _mean("brier"),
    "accuracy": _mean("accuracy"),
}


def oriented(metric: str, value: float) -> float:
    """The value so that more is better."""
    return -value if metric in LOWER_IS_BETTER else value
