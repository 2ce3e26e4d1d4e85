"""Live quality of a binary model with a 95 % confidence interval."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capstan_servicekit.jobs.api import Job

Floats = npt.NDArray[np.float64]
Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""
LEAST = 1e-15
"""Probabilities are kept so far from 0 and 1 in a logarithm."""


def run(job: Job) -> dict[str, Any]:
    """Input: file (float64 pairs of prediction and label), metric. Output: value, low, high; null where undefined."""
    pairs = np.fromfile(Path(job.input["file"]), dtype=np.float64).reshape(-1, 2)
    value, low, high = measure(job.input["metric"], pairs[:, 0], pairs[:, 1])
    return {"value": value, "low": low, "high": high}


def measure(metric: str, score: Floats, label: Floats) -> tuple[float | None, float | None, float | None]:
    """Value and interval of auc, logloss, brier or accuracy (cut at 0.5)."""
    if metric == "auc":
        return auc_interval(score, label)
    if not len(score):
        return None, None, None
    if metric == "logloss":
        kept = np.clip(score, LEAST, 1 - LEAST)
        losses = -(label * np.log(kept) + (1 - label) * np.log1p(-kept))
    elif metric == "brier":
        losses = np.square(score - label)
    else:
        losses = ((score >= 0.5) == (label == 1)).astype(np.float64)
    value = float(losses.mean())
    if len(losses) < 2:
        return value, None, None
    half = Z * float(losses.std(ddof=1)) / math.sqrt(len(losses))
    low, high = max(value - half, 0.0), value + half
    return value, low, min(high, 1.0) if metric in ("brier", "accuracy") else high


def auc_interval(score: Floats, label: Floats) -> tuple[float | None, float | None, float | None]:
    """AUC with DeLong's variance by midranks: Sun and Xu, IEEE Signal Processing Letters 21 (2014), algorithm 2."""
    positive, negative = score[label == 1], score[label != 1]
    m, n = len(positive), len(negative)
    if not m or not n:
        return None, None, None
    ranks = midranks(np.concatenate([positive, negative]))
    above = (ranks[:m] - midranks(positive)) / n
    below = 1 - (ranks[m:] - midranks(negative)) / m
    auc = float(above.mean())
    if m < 2 or n < 2:
        return auc, None, None
    half = Z * math.sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n)
    return auc, max(auc - half, 0.0), min(auc + half, 1.0)


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
