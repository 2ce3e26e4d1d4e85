"""Live quality of a model, by the metrics of its task, with a 95 % confidence interval."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from capstan_contracts.kinds.metrics import DEFAULT_METRIC
from capstan_evaluation.anytime import confidence_at
from capstan_evaluation.arrays import Floats
from capstan_evaluation.errors import EvaluationError
from capstan_evaluation.intervals import Interval
from capstan_evaluation.kinds import find
from capstan_evaluation.metric import CONFIDENCE
from capstan_evaluation.sample import Need, Sample
from capstan_evaluation.tasks import binary, multiclass, regression
from capstan_monitoring.domain.jobs import MeasuredQuality, QualityToMeasure
from capstan_packages.signature import BINARY, MULTICLASS, REGRESSION
from capstan_servicekit.jobs.api import Job, JobRefused

MEASURED: Final = (BINARY, MULTICLASS, REGRESSION)


def run(job: Job) -> MeasuredQuality:
    """JobRefused: no such metric or task, a metric of another task, or rows that are no labels and predictions."""
    given = job.read(QualityToMeasure)
    if given.task not in MEASURED:
        raise JobRefused(f"quality cannot be measured: the task {given.task!r} is none of {', '.join(MEASURED)}")
    name = given.metric or DEFAULT_METRIC[given.task]
    try:
        metric = find(name)
        ranks_only = Need.PROBABILITY not in metric.needs.get("binary", frozenset())
        sample = _sample(given, probabilities=not ranks_only)
        value, interval = metric.value(sample), metric.interval(sample)
        anytime = None
        if given.first_look is not None and sample.rows >= given.first_look:
            anytime = metric.interval(sample, confidence_at(sample.rows, given.first_look, CONFIDENCE))
    except EvaluationError as error:
        raise JobRefused(f"quality cannot be measured: {error}") from error
    return MeasuredQuality(name, value, *_ends(interval), *_ends(anytime))


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)


def _sample(given: QualityToMeasure, *, probabilities: bool) -> Sample:
    """The rows of the file as the task has them; classes are called by their numbers."""
    width = given.classes or 1
    rows: Floats = np.fromfile(Path(given.file), dtype=np.float64).reshape(-1, 1 + width)
    labels, said = rows[:, 0], rows[:, 1:]
    if given.task == MULTICLASS:
        numbers = [f"{label:g}" for label in labels.tolist()]
        return multiclass.sample(numbers, said, [str(number) for number in range(width)])
    if given.task == REGRESSION:
        return regression.sample(labels, said[:, 0])
    return binary.sample(labels, said[:, 0], probabilities=probabilities)
