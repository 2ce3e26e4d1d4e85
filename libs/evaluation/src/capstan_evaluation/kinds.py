"""The metrics that are installed, by name: the family `capstan.metrics`, ours and anybody's.

A distribution adds a metric by an entry point `name = "module:OBJECT"`; the object is a `Metric` of that name. Modules
are imported when their metric is asked for. One that cannot be used is named, with the reason, and the others work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind
from capstan_evaluation.errors import UnknownMetric
from capstan_evaluation.metric import Metric
from capstan_evaluation.sample import TASKS, Task


def _fault(name: str, kind: object) -> str | None:
    return None if isinstance(kind, Metric) and kind.name == name else f"is not a Metric named {name!r}"


METRICS: Final[Family[Metric]] = Family("capstan.metrics", _fault)


def find(name: str) -> Metric:
    """The metric of that name. UnknownMetric: there is none (the nearest is named), or it cannot be used."""
    try:
        return METRICS.get(name)
    except UnknownKind as error:
        hint = f"did you mean {error.nearest!r}? There are" if error.nearest else "there are"
        raise UnknownMetric(f"there is no metric {name!r}; {hint}: {', '.join(error.known) or 'none'}") from error
    except BrokenKind as error:
        raise UnknownMetric(f"the metric {name!r} cannot be used: {error.reason}") from error


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """The metrics of a task that can be used, by name; imports all. UnknownMetric when there is no such task.

    `METRICS.broken()` has those that cannot.
    """
    if task not in TASKS:
        raise UnknownMetric(f"there is no task {task!r}; tasks: {', '.join(TASKS)}")
    return tuple(metric for metric in _usable() if task in metric.tasks)


def _usable() -> Iterator[Metric]:
    for name in METRICS:
        try:
            yield METRICS.get(name)
        except BrokenKind:
            continue
