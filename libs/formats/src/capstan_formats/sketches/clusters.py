"""How many rows share a looked-up value: sizes of clusters in fixed size, and what rows are worth that share one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any, Final, Self

import numpy as np

from capstan_formats.sketches.category import CategorySketch
from capstan_formats.sketches.numeric import NumericSketch
from capstan_formats.sketches.rules import Counts, SketchError, count_from
from capstan_formats.sketches.rules import field as member

AnySketch = NumericSketch | CategorySketch
#: Clusters that are kept; of more, those whose hash is a multiple of a growing power of two: an unbiased sample.
MOST_CLUSTERS: Final = 1024
_HASH_BITS: Final = 63


@dataclass(slots=True)
class ClusterSketch:
    """Rows per cluster, by the hash of its name. Of the clusters one in 2 ** `level` is kept, always the same ones."""

    sizes: dict[int, int] = field(default_factory=dict)
    level: int = 0

    def update(self, counts: Mapping[Hashable, int]) -> None:
        """So many rows more of each cluster. Names are tuples of JSON values."""
        for name, rows in counts.items():
            self._add(_hash(name), rows)

    def merge(self, other: Self) -> Self:
        """A new sketch of both."""
        result = type(self)(dict(self.sizes), self.level)
        while result.level < other.level:
            result._thin()
        for key, rows in other.sizes.items():
            result._add(key, rows)
        return result

    @property
    def design_effect(self) -> float:
        """How many rows count as one, sum(m * m) / sum(m) over cluster sizes m (Kish 1965, Survey Sampling 5.4).

        For a value that all rows of a cluster have in common; 1 where nothing was counted.
        """
        rows = sum(self.sizes.values())
        return sum(size * size for size in self.sizes.values()) / rows if rows else 1.0

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        return {"level": self.level, "sizes": {f"{key:x}": rows for key, rows in self.sizes.items()}}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> ClusterSketch:
        """Checks and reads what `to_json` wrote. SketchError names the member."""
        level, sizes = count_from(source, "level"), member(source, "sizes", dict)
        if level > _HASH_BITS or len(sizes) > MOST_CLUSTERS:
            raise SketchError(f"level must be at most {_HASH_BITS}, and sizes at most {MOST_CLUSTERS}")
        try:
            keys = [int(key, 16) for key in sizes]
        except ValueError:
            raise SketchError("sizes must be named by hashes") from None
        return cls(dict(zip(keys, (count_from(sizes, key) for key in sizes), strict=True)), level)

    def _add(self, key: int, rows: int) -> None:
        if key % (1 << self.level):
            return
        self.sizes[key] = self.sizes.get(key, 0) + rows
        while len(self.sizes) > MOST_CLUSTERS:
            self._thin()

    def _thin(self) -> None:
        self.level += 1
        self.sizes = {key: rows for key, rows in self.sizes.items() if not key % (1 << self.level)}


def thinned(sketch: AnySketch, design_effect: float) -> AnySketch:
    """The sketch of as many rows as these are worth: counts divided by the design effect, rounded to whole rows.

    Rao and Scott (1981) divide the chi-square statistic by it, which is the same; counts also suit an exact test. What
    is left after rounding down goes to the cells with the largest remainders.
    """
    if design_effect <= 1:
        return sketch
    parts = sketch.cell_counts() / design_effect
    whole = np.floor(parts).astype(np.int64)
    missing = round(sketch.total / design_effect) - int(whole.sum())
    whole[np.argsort(whole - parts, kind="stable")[: max(0, missing)]] += 1
    return _with_counts(sketch, whole)


def _with_counts(sketch: AnySketch, cells: Counts) -> AnySketch:
    *_, last, nulls = cells.tolist()
    if isinstance(sketch, CategorySketch):
        return changed(sketch, counts=cells[:-2], other=last, nulls=nulls)
    return changed(sketch, counts=cells[:-2], infinite=last, nulls=nulls)


def _hash(name: Hashable) -> int:
    text = json.dumps(name, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> (64 - _HASH_BITS)
