"""A metric that must be defined."""

from __future__ import annotations

from capstan_evaluation.metric import Metric
from capstan_evaluation.sample import Sample
from capstan_registry.jobs.scoring import Unusable


def metric_value(metric: Metric, sample: Sample) -> float:
    """The metric of the sample, in its unit. Unusable where it is not defined; Unsuitable for another task's metric."""
    value = metric.value(sample)
    if value is None:
        raise Unusable(metric.why_undefined(sample))
    return value
