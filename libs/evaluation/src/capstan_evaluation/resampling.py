"""Bootstrap resamples: rows drawn with replacement, a batch at a time. The seed is fixed: same rows, same answer.

Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapters 6 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from capstan_evaluation.arrays import Drawn, Floats, Statistic

SEED: Final = 20_130_101
RESAMPLES: Final = 1_000
CELLS: Final = 2_000_000
"""Drawn rows held at once: batch of resamples times rows."""

Progress = Callable[[int, int], None]
"""Called with resamples done and resamples in all."""


def silent(done: int, total: int) -> None:
    """Progress that nobody wants to see."""


def quiet() -> np.errstate:
    """Numbers that overflow become infinite and count as not defined; that is no reason for a warning."""
    return np.errstate(over="ignore", invalid="ignore")


def drawn_rows(rows: int, resamples: int, seed: int = SEED) -> Iterator[Drawn]:
    """Which rows are drawn, [batch, rows]; at most CELLS (one resample at least) are held at once."""
    random = np.random.default_rng(seed)
    batch = max(1, min(resamples, CELLS // max(rows, 1)))
    for start in range(0, resamples, batch):
        yield random.integers(0, rows, size=(min(batch, resamples - start), rows), dtype=np.int32)


def resample(
    statistic: Statistic, rows: int, *, resamples: int = RESAMPLES, seed: int = SEED, progress: Progress = silent
) -> Floats:
    """The statistic in each resample, [resamples]; NaN where it is not defined."""
    parts: list[Floats] = []
    done = 0
    for drawn in drawn_rows(rows, resamples, seed):
        with quiet():
            values = statistic(drawn)
        parts.append(np.where(np.isfinite(values), values, np.nan))
        done += len(drawn)
        progress(done, resamples)
    return np.concatenate(parts)
