"""The metrics that are installed, by name: entry points of the family `capstan.metrics`, ours and anybody's.

A distribution adds a metric by an entry point `name = "module:OBJECT"`; the object is a `Metric` of that name. Modules
are imported when their metric is asked for. One that cannot be used is named, with the reason, and the others work.

Not looked up by `capstan_contracts.kinds.family`: there a name that two distributions claim is nobody's. Here ours
stays ours, so that no installation takes a metric away from the gates and records that name it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from capstan_evaluation.errors import UnknownMetric
from capstan_evaluation.metric import Metric
from capstan_evaluation.sample import TASKS, Task

FAMILY: Final = "capstan.metrics"
OURS: Final = "capstan-evaluation"


class InstalledMetrics:
    """What was installed when it was made. Threads may share it: at worst a module is looked up twice."""

    def __init__(self) -> None:
        self._points: dict[str, EntryPoint] = {}
        self._loaded: dict[str, Metric] = {}
        self._broken: dict[str, str] = {}
        for point in sorted(entry_points(group=FAMILY), key=lambda point: (_owner(point) != OURS, _owner(point))):
            first = self._points.setdefault(point.name, point)
            if first is not point:
                self._broken[f"{point.name} of {_owner(point)}"] = f"{_owner(first)} has a metric of that name"

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted; nothing is imported."""
        return tuple(sorted(self._points))

    def find(self, name: str) -> Metric:
        """The metric of that name. UnknownMetric: there is none (the nearest names are said), or it cannot be used."""
        if name not in self._points:
            raise UnknownMetric(f"there is no metric {name!r}; {self._hint(name)}")
        if name not in self._loaded and name not in self._broken:
            self._load(self._points[name])
        if name in self._broken:
            raise UnknownMetric(f"the metric {name!r} cannot be used: {self._broken[name]}")
        return self._loaded[name]

    def usable(self) -> tuple[Metric, ...]:
        """All metrics that can be used, by name; `unusable` has the others."""
        for name, point in self._points.items():
            if name not in self._loaded and name not in self._broken:
                self._load(point)
        return tuple(self._loaded[name] for name in self.names() if name in self._loaded)

    def unusable(self) -> Mapping[str, str]:
        """Name and reason of each metric that cannot be used."""
        self.usable()
        return MappingProxyType(self._broken)

    def of_task(self, task: Task) -> tuple[Metric, ...]:
        """The usable metrics of a task, by name. UnknownMetric when there is no such task."""
        if task not in TASKS:
            raise UnknownMetric(f"there is no task {task!r}; tasks: {', '.join(TASKS)}")
        return tuple(metric for metric in self.usable() if task in metric.tasks)

    def _load(self, point: EntryPoint) -> None:
        owner = _owner(point)
        try:
            found = point.load()
        except Exception as error:  # noqa: BLE001 - a stranger's module may fail in any way, and the others must work
            self._broken[point.name] = f"{point.value} of {owner} fails on import: {type(error).__name__}: {error}"
            return
        if isinstance(found, Metric) and found.name == point.name:
            self._loaded[point.name] = found
        else:
            self._broken[point.name] = f"{point.value} of {owner} is not a Metric named {point.name!r}"

    def _hint(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._points, n=3) or self.names()
        return (
            f"known: {', '.join(near)}" if near else f"no distribution registers any ({FAMILY}): install {OURS} again"
        )


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"


@cache
def installed() -> InstalledMetrics:
    """The metrics of this process; looked up once (about 10 ms)."""
    return InstalledMetrics()


def find(name: str) -> Metric:
    """The metric of that name. UnknownMetric."""
    return installed().find(name)


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """The usable metrics of a task, by name. UnknownMetric."""
    return installed().of_task(task)
