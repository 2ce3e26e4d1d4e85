"""Live quality of a binary model with a 95 % confidence interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from capstan_evaluation.errors import EvaluationError
from capstan_evaluation.kinds import find
from capstan_evaluation.sample import Need
from capstan_evaluation.tasks import binary
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> dict[str, Any]:
    """Input: file (float64 pairs of prediction and label), metric. Output: value, low, high; null where undefined.

    JobRefused: no such metric, one of another task, or pairs that are no labels and scores.
    """
    pairs = np.fromfile(Path(job.input["file"]), dtype=np.float64).reshape(-1, 2)
    try:
        metric = find(job.input["metric"])
        ranks_only = Need.PROBABILITY not in metric.needs.get("binary", frozenset())
        sample = binary.sample(pairs[:, 1], pairs[:, 0], probabilities=not ranks_only)
        value, interval = metric.value(sample), metric.interval(sample)
    except EvaluationError as error:
        raise JobRefused(f"quality cannot be measured: {error}") from error
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return {"value": value, "low": low, "high": high}
