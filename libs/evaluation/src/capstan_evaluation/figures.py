"""Figures that people read, and comparisons, out of item tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capstan_evaluation.arrays import AnyArray
from capstan_evaluation.compare import Comparison, compare
from capstan_evaluation.errors import InvalidSample
from capstan_evaluation.intervals import Interval
from capstan_evaluation.items import ALL, ItemTable
from capstan_evaluation.metric import CONFIDENCE, Metric
from capstan_evaluation.resampling import RESAMPLES, SEED, Progress, silent
from capstan_evaluation.sample import Sample


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of one slice: value and interval are None where they are not defined; `note` then says why."""

    metric: str
    slice: str
    rows: int
    value: float | None
    interval: Interval | None
    unit: str
    note: str = ""


def figure_of(metric: Metric, sample: Sample, *, slice_: str = ALL, confidence: float = CONFIDENCE) -> Figure:
    """Value, interval, and why there is none. Unsuitable."""
    value, interval = metric.value(sample), metric.interval(sample, confidence)
    note = metric.why_undefined(sample) if value is None else ""
    return Figure(metric.name, slice_, sample.rows, value, interval, metric.unit, note)


def figures(table: ItemTable, metric: Metric, *, confidence: float = CONFIDENCE) -> dict[str, Figure]:
    """The figure of each slice of the table, that of all items first. Unsuitable."""
    return {name: figure_of(metric, table.sample(name)[1], slice_=name, confidence=confidence) for name in table.slices}


def compare_items(
    metric: Metric,
    candidate: ItemTable,
    champion: ItemTable,
    *,
    slice_: str = ALL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: Progress = silent,
) -> Comparison:
    """Compare two models on the items of a slice, whatever order each table has them in. InvalidSample, Unsuitable."""
    ids, mine = candidate.sample(slice_)
    others, theirs = champion.sample(slice_)
    theirs = theirs.take(_places(ids, others))
    return compare(metric, mine, theirs, resamples=resamples, seed=seed, progress=progress)


def _places(ids: AnyArray, others: AnyArray) -> AnyArray:
    """Where each of `ids` stands among `others`; both hold the same items, or InvalidSample."""
    place = {item: row for row, item in enumerate(others.tolist())}
    rows = [place.get(item, -1) for item in ids.tolist()]
    if len(ids) != len(others) or -1 in rows:
        raise InvalidSample("the tables of candidate and champion hold different items")
    return np.array(rows, dtype=np.intp)
