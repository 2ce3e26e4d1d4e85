"""The item-level table: one line per item, slice and metric. Overall values, slices and intervals come from it.

It holds what was given, too, under the names `label`, `prediction`, `probability[<class>]` and `scale`, so that metrics
that are no means over items can be computed of any slice. Writing it to a file is the caller's business (`columns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from capstan_evaluation.arrays import AnyArray, Codes, Floats
from capstan_evaluation.errors import InvalidSample, Unsuitable
from capstan_evaluation.metric import Metric
from capstan_evaluation.sample import Need, Sample, Task

ALL: Final = ""
"""The name of the slice that every item is in."""
LABEL: Final = "label"
PREDICTION: Final = "prediction"
SCALE: Final = "scale"


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Columns of one length; `slice` and `metric` are numbers into the tuples of their names.

    An item has a line in ALL and in each further slice it is in, so lines of different slices are never to be mixed.
    `of_sample` is the sample without its items: task, classes, quantile, what it has.
    """

    of_sample: Sample
    item_id: AnyArray
    slice: Codes
    metric: Codes
    value: Floats
    slices: tuple[str, ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(
        cls,
        item_id: npt.ArrayLike,
        sample: Sample,
        *,
        metrics: Iterable[Metric] = (),
        slices: Mapping[str, Sequence[object]] | None = None,
    ) -> ItemTable:
        """What was given, and the item values of the metrics that have them. InvalidSample, Unsuitable.

        `slices` maps a column to the value of each item; its slices are called `<column>=<value>`.
        """
        ids = _checked_ids(item_id, sample.rows)
        given = _inputs(sample)
        for metric in metrics:
            values = metric.item_values(sample)
            if values is not None:
                given[metric.name] = values
        groups = {ALL: np.arange(sample.rows)}
        for column, words in (slices or {}).items():
            groups |= _slices(column, words, sample.rows)
        picks, counts = list(groups.values()), [len(rows) for rows in groups.values()]
        columns = len(given)
        return cls(
            of_sample=sample.take(np.arange(0)),
            item_id=np.concatenate([np.tile(ids[rows], columns) for rows in picks]),
            slice=np.repeat(np.arange(len(picks)), [count * columns for count in counts]),
            metric=np.concatenate([np.repeat(np.arange(columns), count) for count in counts]),
            value=np.concatenate([values[rows] for rows in picks for values in given.values()]),
            slices=tuple(groups),
            metrics=tuple(given),
        )

    def columns(self) -> dict[str, AnyArray]:
        """The four columns item_id, slice, metric and value, with the names written out."""
        return {
            "item_id": self.item_id,
            "slice": np.array(self.slices, dtype=np.object_)[self.slice],
            "metric": np.array(self.metrics, dtype=np.object_)[self.metric],
            "value": self.value,
        }

    def values(self, metric: str, slice_: str = ALL) -> tuple[AnyArray, Floats]:
        """Items of a slice and their values of a metric (or of what was given), in one order. Unsuitable."""
        for name, known, what in ((metric, self.metrics, "values of"), (slice_, self.slices, "slice")):
            if name not in known:
                raise Unsuitable(f"the item table has no {what} {name!r}; it has {', '.join(map(repr, known))}")
        at = (self.slice == self.slices.index(slice_)) & (self.metric == self.metrics.index(metric))
        return self.item_id[at], self.value[at]

    def sample(self, slice_: str = ALL) -> tuple[AnyArray, Sample]:
        """The items of a slice and the sample they make. Unsuitable."""
        ids, labels = self.values(LABEL, slice_)
        plain = self.of_sample
        names = [_probability(name) for name in plain.classes] or [PREDICTION]
        said = [self.values(name, slice_)[1] for name in names]
        predictions = np.column_stack(said) if plain.classes else said[0]
        scale = self.values(SCALE, slice_)[1] if Need.SCALE in plain.has else None
        return ids, Sample(plain.task, labels, predictions, plain.has, plain.classes, plain.quantile, scale)

    @property
    def task(self) -> Task:
        """The task whose items these are."""
        return self.of_sample.task


def _checked_ids(item_id: npt.ArrayLike, rows: int) -> AnyArray:
    ids: AnyArray = np.asarray(item_id)
    if ids.shape != (rows,):
        raise InvalidSample(f"there are {rows} labels but item ids of the shape {ids.shape}")
    if len(set(ids.tolist())) != rows:
        raise InvalidSample("an item id is there twice: each item has one")
    return ids


def _inputs(sample: Sample) -> dict[str, Floats]:
    given = {LABEL: sample.labels}
    for number, name in enumerate(sample.classes):
        given[_probability(name)] = sample.predictions[:, number]
    if not sample.classes:
        given[PREDICTION] = sample.predictions
    if sample.scale is not None:
        given[SCALE] = sample.scale
    return given


def _probability(name: str) -> str:
    return f"probability[{name}]"


def _slices(column: str, words: Sequence[object], rows: int) -> dict[str, Codes]:
    """Row numbers per value, in the order of the values; null is a slice of its own."""
    if len(words) != rows:
        raise InvalidSample(f"there are {rows} labels but {len(words)} values of the slice column {column!r}")
    texts = np.array(["null" if word is None else str(word) for word in words], dtype=np.str_)
    return {f"{column}={text}": np.flatnonzero(texts == text) for text in np.unique(texts)}
