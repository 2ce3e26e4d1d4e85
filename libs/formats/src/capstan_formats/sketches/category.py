"""A column of words in fixed size: counts of the baseline's most frequent words, all others together, nulls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Self

import numpy as np

from capstan_formats.instants import type_name
from capstan_formats.sketches.rules import Counts, SketchError, Values, count_from, counts_from, field

MAX_WORDS = 10_000


@dataclass(slots=True)
class CategorySketch:
    """Counts per word of a fixed vocabulary. Integers and bools are counted as their text (`true`, `false`)."""

    vocabulary: tuple[str, ...]
    counts: Counts
    other: int = 0
    nulls: int = 0
    _index: dict[str, int] = dataclass_field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._index = {word: position for position, word in enumerate(self.vocabulary)}
        if len(self._index) != len(self.vocabulary):
            raise SketchError("the vocabulary repeats a word")

    @classmethod
    def build(cls, values: Values, top: int = 50) -> CategorySketch:
        """The `top` most frequent words as vocabulary (ties in alphabetical order), then the values themselves."""
        if not 0 <= top <= MAX_WORDS:
            raise SketchError(f"top must be from 0 to {MAX_WORDS}, not {top}")
        words = Counter(_words(values))
        words.pop(None, None)
        ranked = sorted(((-count, word) for word, count in words.items() if word is not None))[:top]
        sketch = cls.over(tuple(word for _, word in ranked))
        sketch.update(values)
        return sketch

    @classmethod
    def over(cls, vocabulary: tuple[str, ...]) -> CategorySketch:
        """An empty sketch over a given vocabulary."""
        return cls(vocabulary, np.zeros(len(vocabulary), dtype=np.int64))

    @property
    def total(self) -> int:
        """All values seen, nulls included."""
        return int(self.counts.sum()) + self.other + self.nulls

    def cell_counts(self) -> Counts:
        """Words in order of the vocabulary, other, null."""
        return np.concatenate([self.counts, np.array([self.other, self.nulls], dtype=np.int64)])

    def cell_names(self) -> list[str]:
        """Names in the order of `cell_counts`."""
        return [*self.vocabulary, "other", "null"]

    def empty_like(self) -> Self:
        """Same vocabulary, nothing counted."""
        return type(self)(self.vocabulary, np.zeros_like(self.counts))

    def update(self, values: Values) -> None:
        """Counts words (None and NaN are nulls). SketchError names the row of another type; nothing is counted then."""
        counts = self.counts.copy()
        for word, count in Counter(_words(values)).items():
            if word is None:
                self.nulls += count
            elif word in self._index:
                counts[self._index[word]] += count
            else:
                self.other += count
        self.counts = counts

    def merge(self, other: Self) -> Self:
        """A new sketch of both. SketchError where the vocabularies differ."""
        if self.vocabulary != other.vocabulary:
            raise SketchError("sketches with different vocabularies cannot be merged")
        return type(self)(
            self.vocabulary, self.counts + other.counts, self.other + other.other, self.nulls + other.nulls
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        return {
            "kind": "category",
            "vocabulary": list(self.vocabulary),
            "counts": self.counts.tolist(),
            "other": self.other,
            "nulls": self.nulls,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> CategorySketch:
        """Checks and reads what `to_json` wrote. SketchError names the member."""
        words = field(source, "vocabulary", list)
        if len(words) > MAX_WORDS or not all(isinstance(word, str) for word in words):
            raise SketchError(f"vocabulary must be at most {MAX_WORDS} strings")
        counts = counts_from(source, "counts", len(words))
        return cls(tuple(words), counts, count_from(source, "other"), count_from(source, "nulls"))


def _words(values: Values) -> list[str | None]:
    cells: Any = values.tolist() if isinstance(values, np.ndarray) else values
    if set(map(type, cells)) <= {str, type(None)}:
        return list(cells)
    return [_word(row, cell) for row, cell in enumerate(cells)]


def _word(row: int, cell: Any) -> str | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, str):
        return str(cell)
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    raise SketchError(f"row {row}: a word is a string, an integer or a bool, not {type_name(cell)}")
