"""What every sketch is, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from capstan_formats.strict_json import JsonRuleError, need

Counts = npt.NDArray[np.int64]
Values = Sequence[Any] | npt.NDArray[Any]


class SketchError(ValueError):
    """A sketch was given values, JSON or a partner that it cannot take."""


class Sketch(Protocol):
    """Counts over cells that the baseline fixed, nulls among them. Updating in pieces and merging equals one pass."""

    @property
    def total(self) -> int:
        """All values seen, nulls included."""
        ...

    def cell_counts(self) -> Counts:
        """Counts per cell in a fixed order; the last cell holds the nulls. They sum to `total`."""
        ...

    def cell_names(self) -> list[str]:
        """A readable name per cell, in the order of `cell_counts`."""
        ...

    def empty_like(self) -> Self:
        """A sketch with the same cells and nothing in it."""
        ...

    def update(self, values: Values) -> None:
        """Counts more values in place."""
        ...

    def merge(self, other: Self) -> Self:
        """A new sketch of both. SketchError where the cells differ."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        ...


def counts_from(source: Mapping[str, Any], key: str, length: int) -> Counts:
    """A list of exactly `length` counts. SketchError for anything else."""
    values = field(source, key, list)
    if len(values) != length:
        raise SketchError(f"{key} must have {length} entries, not {len(values)}")
    if not all(type(value) is int and 0 <= value < 2**62 for value in values):
        raise SketchError(f"{key} must hold whole numbers from 0")
    return np.array(values, dtype=np.int64)


def count_from(source: Mapping[str, Any], key: str) -> int:
    """One count. SketchError for anything else."""
    value: int = field(source, key, int)
    if not 0 <= value < 2**62:
        raise SketchError(f"{key} must be a whole number from 0")
    return value


def field(source: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """A member of the JSON object, of the given kind, or a SketchError that names it."""
    try:
        return need(source, key, kind)
    except JsonRuleError as error:
        raise SketchError(str(error)) from None
