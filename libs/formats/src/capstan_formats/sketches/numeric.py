"""A numeric column in fixed size: counts between quantile edges of the baseline, moments, extremes, nulls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from capstan_formats.cells import numbers
from capstan_formats.instants import BadValueError
from capstan_formats.sketches.rules import Counts, SketchError, Values, count_from, counts_from, field

Edges = npt.NDArray[np.float64]

#: Beyond this a square of a difference, summed, leaves the range of a float: such values are counted as infinite.
LARGEST = 1e140
MAX_BINS = 1000
#: Half the width of the bin around a single heavy value, as a share of the column's spread.
FENCE = 1e-6


@dataclass(slots=True)
class NumericSketch:
    """Bins are [edge i, edge i+1), the last one closed; `counts` has one cell below and one above them all."""

    edges: Edges
    counts: Counts
    nulls: int = 0
    infinite: int = 0
    mean: float = 0.0
    m2: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def build(cls, values: Values, bins: int = 10) -> NumericSketch:
        """Edges from the quantiles of the values, then the values themselves. A heavy single value gets its own bin."""
        if not 1 <= bins <= MAX_BINS:
            raise SketchError(f"bins must be from 1 to {MAX_BINS}, not {bins}")
        column = _column(values)
        sketch = cls.over(_edges(column[np.abs(column) <= LARGEST], bins))
        sketch.update(column)
        return sketch

    @classmethod
    def over(cls, edges: Edges) -> NumericSketch:
        """An empty sketch over given edges (at least two, finite, rising)."""
        if len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
            raise SketchError("edges must be at least two finite, rising numbers")
        return cls(edges, np.zeros(len(edges) + 1, dtype=np.int64))

    @property
    def n(self) -> int:
        """Finite values seen."""
        return int(self.counts.sum())

    @property
    def total(self) -> int:
        """All values seen, nulls and infinities included."""
        return self.n + self.nulls + self.infinite

    @property
    def std(self) -> float:
        """Population standard deviation; 0 where nothing was seen."""
        return math.sqrt(self.m2 / self.n) if self.n else 0.0

    def cell_counts(self) -> Counts:
        """Below, bins, above, infinite, null."""
        return np.concatenate([self.counts, np.array([self.infinite, self.nulls], dtype=np.int64)])

    def cell_names(self) -> list[str]:
        """Names in the order of `cell_counts`."""
        bounds = [f"{edge:g}" for edge in self.edges]
        inner = [f"[{low}, {high})" for low, high in pairwise(bounds)]
        return [f"< {bounds[0]}", *inner, f"> {bounds[-1]}", "infinite", "null"]

    def empty_like(self) -> Self:
        """Same edges, nothing counted."""
        return type(self)(self.edges, np.zeros_like(self.counts))

    def update(self, values: Values) -> None:
        """Counts values: None and NaN are nulls, bools 0 and 1.

        SketchError names the row of a string, or of a bool among numbers; then nothing counts.
        """
        column = _column(values)
        null = np.isnan(column)
        magnitude = np.abs(column)
        finite = column[magnitude <= LARGEST]
        nulls = int(null.sum())
        self.infinite += len(column) - nulls - len(finite)
        self.nulls += nulls
        if not len(finite):
            return
        cells = np.searchsorted(self.edges, finite, side="right")
        cells[finite == self.edges[-1]] = len(self.edges) - 1
        mean = float(finite.mean())
        self._absorb_moments(len(finite), mean, float(np.square(finite - mean).sum()))
        self.counts = self.counts + np.bincount(cells, minlength=len(self.counts))
        self._absorb_extremes(float(finite.min()), float(finite.max()))

    def merge(self, other: Self) -> Self:
        """A new sketch of both. SketchError where the edges differ."""
        if not np.array_equal(self.edges, other.edges):
            raise SketchError("sketches with different edges cannot be merged")
        result = type(self)(
            self.edges, self.counts, self.nulls, self.infinite, self.mean, self.m2, self.minimum, self.maximum
        )
        result._absorb_moments(other.n, other.mean, other.m2)
        result.counts = self.counts + other.counts
        result.nulls += other.nulls
        result.infinite += other.infinite
        if other.minimum is not None and other.maximum is not None:
            result._absorb_extremes(other.minimum, other.maximum)
        return result

    def _absorb_moments(self, n: int, mean: float, m2: float) -> None:
        """Chan, Golub, LeVeque (1979): parallel update of mean and sum of squares. Call before counts change."""
        if not n:
            return
        total = self.n + n
        delta = mean - self.mean
        self.m2 += m2 + delta * delta * (self.n / total) * n
        self.mean += delta * (n / total)

    def _absorb_extremes(self, low: float, high: float) -> None:
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        return {
            "kind": "numeric",
            "edges": self.edges.tolist(),
            "counts": self.counts.tolist(),
            "nulls": self.nulls,
            "infinite": self.infinite,
            "mean": self.mean,
            "m2": self.m2,
            "min": self.minimum,
            "max": self.maximum,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> NumericSketch:
        """Checks and reads what `to_json` wrote. SketchError names the member."""
        edges = field(source, "edges", list)
        if not all(type(edge) in (int, float) for edge in edges) or len(edges) > 4 * MAX_BINS:
            raise SketchError(f"edges must be at most {4 * MAX_BINS} numbers")
        sketch = cls.over(_column(edges))
        sketch.counts = counts_from(source, "counts", len(edges) + 1)
        sketch.nulls = count_from(source, "nulls")
        sketch.infinite = count_from(source, "infinite")
        sketch.mean = float(field(source, "mean", (int, float)))
        sketch.m2 = float(field(source, "m2", (int, float)))
        low, high = (field(source, key, (int, float, type(None))) for key in ("min", "max"))
        if (low is None) != (sketch.n == 0) or (high is None) != (sketch.n == 0):
            raise SketchError("min and max are numbers exactly where values were counted")
        if sketch.m2 < 0 or not math.isfinite(sketch.m2) or not math.isfinite(sketch.mean):
            raise SketchError("mean and m2 must be finite, m2 not negative")
        if low is not None and high is not None:
            if not low <= high:
                raise SketchError("min is above max")
            sketch.minimum, sketch.maximum = float(low), float(high)
        return sketch


def _column(values: Values) -> npt.NDArray[np.float64]:
    """float64 with NaN for null; infinity may stay, for it is counted."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64)
    cells: Any = values.tolist() if isinstance(values, np.ndarray) else values
    if not set(map(type, cells)) <= {float, int, type(None)}:
        cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    if set(map(type, cells)) <= {float, int, type(None)}:
        try:
            return np.array(cells, dtype=np.float64)
        except OverflowError:
            clipped = [math.inf if isinstance(cell, int) and abs(cell) > LARGEST else cell for cell in cells]
            return np.array(clipped, dtype=np.float64)
    try:
        return numbers(cells)
    except BadValueError as error:
        raise SketchError(f"row {error.row}: {error.rule}") from None


def _edges(finite: npt.NDArray[np.float64], bins: int) -> Edges:
    """Few distinct values: a narrow bin around each. Else quantiles, one that repeats fenced in the same way."""
    if not len(finite):
        return np.array([0.0, 1.0])
    distinct = np.unique(finite)
    quantiles = np.quantile(finite, np.linspace(0.0, 1.0, bins + 1), method="inverted_cdf")
    cuts, repeats = np.unique(quantiles, return_counts=True)
    atoms, cuts = (distinct, distinct[:0]) if len(distinct) <= bins else (cuts[repeats > 1], cuts[repeats == 1])
    # Not exactly the value: another engine's last digits must not look like a value never seen before.
    spread = float(distinct[-1] - distinct[0]) or max(abs(float(distinct[0])), 1.0)
    fence = np.maximum(spread * FENCE, np.abs(atoms) * 4 * np.finfo(np.float64).eps)
    return np.unique(np.concatenate([cuts, atoms - fence, atoms + fence]))
