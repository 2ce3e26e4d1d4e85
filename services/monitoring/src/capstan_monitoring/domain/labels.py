"""Which values are labels, by what the model answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

BINARY: Final = "binary"
MULTICLASS: Final = "multiclass"


@dataclass(frozen=True)
class LabelRule:
    """The task of the model, None while nobody has said it; and of how many classes, None where that is not known."""

    task: str | None = None
    classes: int | None = None

    @property
    def sentence(self) -> str:
        """What a label is."""
        if self.task == BINARY:
            return "0 or 1"
        if self.task == MULTICLASS:
            return f"the number of a class, {'0 or above' if self.classes is None else f'0 to {self.classes - 1}'}"
        return "a finite number"

    def holds(self, value: float) -> bool:
        """Whether this is a label."""
        if self.task == BINARY:
            return value in (0.0, 1.0)
        if self.task == MULTICLASS:
            return value >= 0 and value.is_integer() and (self.classes is None or value < self.classes)
        return math.isfinite(value)
