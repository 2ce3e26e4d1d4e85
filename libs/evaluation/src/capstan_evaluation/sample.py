"""What metrics are computed from: the labels of some items and what a model said of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from capstan_evaluation.arrays import Codes, Floats
from capstan_evaluation.errors import Unsuitable

Task = Literal["binary", "multiclass", "regression", "forecast"]
TASKS: Final[tuple[Task, ...]] = ("binary", "multiclass", "regression", "forecast")
CUT: Final = 0.5
"""A probability of at least this is a decision for class 1."""


class Need(Enum):
    """What a metric reads of a sample; a sample says what it holds."""

    LABEL = "labels"
    SCORE = "scores (higher for the class 1)"
    PROBABILITY = "probabilities of the class 1"
    CLASS_PROBABILITIES = "a probability for each class"
    PREDICTION = "predicted values"
    QUANTILE = "the quantile that was predicted"
    SCALE = "the scale of each item (mean error of the naive forecast in its history)"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Items in one order. Made by `tasks.<task>`, which checks; every array has one entry (or line) per item.

    `labels`: 0 or 1 (binary), number of the class (multiclass), the value in its own unit (regression, forecast).
    `predictions`: [items], or [items, classes] for multiclass.
    """

    task: Task
    labels: Floats
    predictions: Floats
    has: frozenset[Need]
    classes: tuple[str, ...] = ()
    quantile: float | None = None
    scale: Floats | None = None

    @property
    def rows(self) -> int:
        """How many items there are."""
        return len(self.labels)

    @property
    def rarest(self) -> int:
        """How many items there are of the rarer class of a binary task; of other tasks all items."""
        if self.task != "binary":
            return self.rows
        positive = int(self.labels.sum())
        return min(positive, self.rows - positive)

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Sample:
        """The items of these row numbers (repeats allowed) or of this mask."""
        scale = None if self.scale is None else self.scale[rows]
        return replace(self, labels=self.labels[rows], predictions=self.predictions[rows], scale=scale)

    def label_codes(self) -> Codes:
        """The class number of each item, of binary and multiclass."""
        return self.labels.astype(np.intp)

    def decisions(self) -> Codes:
        """The class number decided for: probability of at least CUT, or the most probable (the first of equals)."""
        if self.task == "multiclass":
            return self.predictions.argmax(axis=1)
        return (self.predictions >= CUT).astype(np.intp)

    def the_quantile(self) -> float:
        """The quantile that was predicted. Unsuitable where it is not said."""
        if self.quantile is None:
            raise Unsuitable(f"the sample lacks {Need.QUANTILE.value}")
        return self.quantile

    def scales(self) -> Floats:
        """The scale of each item. Unsuitable where there is none."""
        if self.scale is None:
            raise Unsuitable(f"the sample lacks {Need.SCALE.value}")
        return self.scale
