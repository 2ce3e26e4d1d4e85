"""The port of the family `capstan.metrics`: what a metric is, and the two common sorts of it.

A metric is an immutable object without state: it may be used by several threads at once. It draws no random numbers but
those of `resampling`, whose seed is fixed, and it never changes a sample.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from capstan_evaluation import intervals
from capstan_evaluation.arrays import Drawn, Floats, Statistic
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.intervals import Interval
from capstan_evaluation.resampling import quiet, resample
from capstan_evaluation.sample import Need, Sample, Task

CONFIDENCE: Final = 0.95
Needs = Mapping[Task, frozenset[Need]]
"""What a metric reads of a sample; the keys are its tasks."""

SCORES: Final[Needs] = {"binary": frozenset({Need.LABEL, Need.SCORE})}
PROBABILITIES: Final[Needs] = {"binary": frozenset({Need.LABEL, Need.PROBABILITY})}
CLASSES: Final[Needs] = {"multiclass": frozenset({Need.LABEL, Need.CLASS_PROBABILITIES})}
ANY_PROBABILITIES: Final[Needs] = {**PROBABILITIES, **CLASSES}
VALUES: Final[Needs] = {
    "regression": frozenset({Need.LABEL, Need.PREDICTION}),
    "forecast": frozenset({Need.LABEL, Need.PREDICTION}),
}
Limits = tuple[float, float]
SHARE: Final[Limits] = (0.0, 1.0)
NOT_NEGATIVE: Final[Limits] = (0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse is still as good, where a loop says nothing: in the metric's unit, or a share of the champion's.

    docs/statistics/champion-gate.md has the reasons.
    """

    size: float
    relative: bool = False

    def of(self, champion: float) -> float:
        """In the metric's unit."""
        return self.size * abs(champion) if self.relative else self.size


TWO_PERCENT: Final = Margin(0.02, relative=True)
"""For errors, whose unit only the user knows."""
ONE_POINT: Final = Margin(0.01)
"""For shares: one point of a hundred."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric(ABC):
    """One metric. A member gives `measure`; interval and resampling have defaults that work for every metric."""

    name: str
    needs: Needs
    unit: str
    """Of the value: `share`, `nat`, `label` (the unit of the label itself), `1` for a plain number."""
    higher_is_better: bool
    limits: Limits
    """The least and the greatest value that is possible."""
    undefined_when: str
    """Completes `it is not defined when ...`."""
    margin: Margin = TWO_PERCENT
    """The margin of a champion gate that states none."""
    source: str
    """Where the definition is from, and how this one treats its edges."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that it is a metric of."""
        return tuple(self.needs)

    @abstractmethod
    def measure(self, sample: Sample) -> float:
        """The value of one item or more that have what `needs` says of their task; NaN where it is not defined."""

    def value(self, sample: Sample) -> float | None:
        """The value; None where it is not defined or not finite, as without items. Unsuitable."""
        self.require(sample)
        with quiet():
            value = self.measure(sample) if sample.rows else math.nan
        return float(value) if math.isfinite(value) else None

    def item_values(self, sample: Sample) -> Floats | None:
        """The value of each item where the metric is their mean, else None. Unsuitable."""
        self.require(sample)
        return None

    def interval(self, sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
        """Two-sided interval of the value for independent items; None where there is none. Unsuitable."""
        value = self.value(sample)
        if value is None or sample.rows < 2:
            return None
        resamples = resample(self.statistic(sample), sample.rows)
        return intervals.of_resamples(resamples, confidence, value=value, limits=self.limits)

    def statistic(self, sample: Sample) -> Statistic:
        """The metric as a function of resampled rows: here by measuring each resample anew."""
        self.require(sample)

        def again(drawn: Drawn) -> Floats:
            return np.array([self.measure(sample.take(rows)) for rows in drawn], dtype=np.float64)

        return again

    def oriented(self, value: float) -> float:
        """The value so that more is better."""
        return value if self.higher_is_better else -value

    def require(self, sample: Sample) -> None:
        """Unsuitable when the sample is of another task or lacks what the metric needs."""
        if sample.task not in self.needs:
            tasks = " and ".join(self.tasks)
            raise Unsuitable(f"{self.name} is a metric of {tasks}, and the task here is {sample.task}")
        lacking = sorted(need.value for need in self.needs[sample.task] - sample.has)
        if lacking:
            raise Unsuitable(f"{self.name} needs {lacking[0]}")

    def why_undefined(self, sample: Sample) -> str:
        """The sentence to a value that is None, without a full stop."""
        if not sample.rows:
            return f"{self.name} is not defined: there are no rows"
        return f"{self.name} is not defined: {self.undefined_when} in {sample.rows} rows"


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanMetric(Metric):
    """The mean of a value per item; an item whose value is NaN makes the mean undefined."""

    per_item: Callable[[Sample], Floats]

    def measure(self, sample: Sample) -> float:
        """The mean."""
        return float(self.per_item(sample).mean())

    def item_values(self, sample: Sample) -> Floats:
        """The value of each item. Unsuitable."""
        self.require(sample)
        with quiet():
            return self.per_item(sample)

    def interval(self, sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
        """Hall's interval of a mean, cut at the limits; None for fewer than two items, or equal ones. Unsuitable."""
        return intervals.of_mean(self.item_values(sample), confidence, self.limits)

    def statistic(self, sample: Sample) -> Statistic:
        """The means of the drawn items."""
        values = self.item_values(sample)
        return lambda drawn: np.asarray(values[drawn].mean(axis=1), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class HitsMetric(MeanMetric):
    """The share of all items that are hits: 1 or 0 per item."""

    def interval(self, sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
        """Wilson's interval; None without items. Unsuitable."""
        value = self.value(sample)
        return None if value is None else intervals.of_share(value, sample.rows, confidence)


@dataclass(frozen=True, kw_only=True, eq=False)
class MeansMetric(Metric):
    """A function of the means of several values per item, as a ratio of two of them."""

    parts: Callable[[Sample], tuple[Floats, ...]]
    combine: Callable[[tuple[Floats, ...]], Floats]
    """Of the mean of each part, [resamples] each, the values, [resamples]; NaN where not defined."""

    def measure(self, sample: Sample) -> float:
        """The function of the means over all items."""
        return float(self.combine(tuple(part.mean(keepdims=True) for part in self.parts(sample)))[0])

    def statistic(self, sample: Sample) -> Statistic:
        """The function of the means over the drawn items."""
        self.require(sample)
        parts = self.parts(sample)
        return lambda drawn: self.combine(tuple(np.asarray(part[drawn].mean(axis=1)) for part in parts))


@dataclass(frozen=True, kw_only=True, eq=False)
class ShareMetric(Metric):
    """Hits among trials, where only some items are trials; both are 0 or 1 per item."""

    hits_and_trials: Callable[[Sample], tuple[Floats, Floats]]

    def measure(self, sample: Sample) -> float:
        """Hits by trials; NaN without trials."""
        hits, trials = self.hits_and_trials(sample)
        return float(ratio(hits.sum(keepdims=True), trials.sum(keepdims=True))[0])

    def interval(self, sample: Sample, confidence: float = CONFIDENCE) -> Interval | None:
        """Wilson's interval, the number of trials taken as given; None without trials. Unsuitable."""
        value = self.value(sample)
        if value is None:
            return None
        return intervals.of_share(value, float(self.hits_and_trials(sample)[1].sum()), confidence)

    def statistic(self, sample: Sample) -> Statistic:
        """Hits by trials among the drawn items."""
        self.require(sample)
        hits, trials = self.hits_and_trials(sample)
        return lambda drawn: ratio(hits[drawn].sum(axis=1), trials[drawn].sum(axis=1))


def ratio(upper: Floats, lower: Floats) -> Floats:
    """Upper by lower, NaN where the lower one is 0."""
    quotient: Floats = np.divide(upper, lower, out=np.full(lower.shape, np.nan), where=lower != 0)
    return quotient
