"""From the numbers that a library answers to the outputs of a task."""

from __future__ import annotations

import numpy as np

from capstan_engines.port import Matrix, Outputs
from capstan_packages.signature import MULTICLASS, PREDICTION, PROBABILITIES


def named(task: str, raw: Matrix) -> Outputs:
    """The outputs of a task, see `outputs_of`: `raw` is [rows], for multiclass the probabilities [rows, classes]."""
    if task != MULTICLASS:
        return {PREDICTION: raw}
    return {PREDICTION: raw.argmax(axis=1).astype(np.int64, copy=False), PROBABILITIES: raw}


def warming_rows(columns: int) -> tuple[Matrix, Matrix]:
    """Two matrices that no data is in: one row, and three."""
    return np.full((1, columns), np.nan), np.full((3, columns), np.nan)
