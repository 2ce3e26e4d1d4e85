"""A metric that must be defined."""

from __future__ import annotations

from capstan_registry.jobs.metrics import METRICS, Floats
from capstan_registry.jobs.scoring import Unusable


def metric_value(metric: str, labels: Floats, scores: Floats) -> float:
    """The metric of the scores, in its unit. Unusable when the label has one class only."""
    value = METRICS[metric](labels, scores)
    if value is None:
        raise Unusable(f"{metric} is not defined: the label has one class only in {len(labels)} rows")
    return value
