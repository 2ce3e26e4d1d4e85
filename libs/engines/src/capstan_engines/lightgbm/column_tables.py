"""Tables of QuickScorer: which leaves of each tree the splits on one column leave standing, by the value's place.

The rules for nulls, zeros and categories are those of LightGBM's `Tree::Decision` (include/LightGBM/tree.h, version 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from capstan_engines.lightgbm.booster_text import CATEGORICAL, Tree

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Words = npt.NDArray[np.unsignedinteger[Any]]

#: Where tables cost more than walking the trees: memory of all tables of a model, its columns.
MAX_BYTES: Final = 8 << 20
MAX_COLUMNS: Final = 64
#: Bits of a word.
MAX_LEAVES: Final = 64
_DEFAULT_LEFT: Final = 2
_MISSING_ZERO: Final = 1


@dataclass(frozen=True, slots=True)
class NumberTable:
    """A column of numbers: places 0 to len(thresholds) by value, then one for NaN and one for zero."""

    column: int
    thresholds: Floats
    words: Words
    zero_apart: bool

    def places(self, values: Floats, nulls: Truths | None) -> Integers:
        """The line of the table for each row."""
        found: Integers = self.thresholds.searchsorted(values)
        if self.zero_apart:
            found[values == 0] = len(self.thresholds) + 2
        if nulls is not None:
            found[nulls] = len(self.thresholds) + 1
        return found


@dataclass(frozen=True, slots=True)
class CategoryTable:
    """A column of categories: one place for each that a split names, and a last one for nulls and all others."""

    column: int
    words: Words

    def places(self, values: Floats, nulls: Truths | None) -> Integers:
        """The line of the table for each row. Fractions are cut off, as LightGBM's cast to int does."""
        last = len(self.words) - 1
        known = (values > -1) & (values < last)  # false for NaN
        return np.where(known, values, last).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Splits:
    """Splits of all trees, or those on one column: one entry each."""

    tree: Integers
    column: Integers
    threshold: Floats
    decision: Integers

    def __getitem__(self, chosen: Truths) -> _Splits:
        return _Splits(self.tree[chosen], self.column[chosen], self.threshold[chosen], self.decision[chosen])

    @property
    def categorical(self) -> Truths:
        """Whether a split asks for categories."""
        return np.asarray((self.decision & CATEGORICAL) != 0)

    @property
    def missing(self) -> Integers:
        """Which values count as null: none (0), zero and NaN (1), or NaN (2)."""
        return (self.decision >> 2) & 3

    @property
    def default_left(self) -> Truths:
        """The way of a null."""
        return np.asarray((self.decision & _DEFAULT_LEFT) != 0)


def column_tables(trees: Sequence[Tree]) -> list[NumberTable | CategoryTable] | None:
    """One table per column that is split on.

    None beyond the limits above, where no tree has a split, and where a column is one of numbers in one split and of
    categories in another.
    """
    splits = _Splits(
        tree=np.repeat(np.arange(len(trees)), [len(tree.split_feature) for tree in trees]),
        column=np.concatenate([tree.split_feature for tree in trees]),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        decision=np.concatenate([tree.decision_type for tree in trees]),
    )
    leaves = max(tree.leaves for tree in trees)
    word = np.dtype(np.uint32) if leaves <= 32 else np.dtype(np.uint64)
    places = _places(trees, splits)
    if leaves > MAX_LEAVES or not places or sum(places.values()) * len(trees) * word.itemsize > MAX_BYTES:
        return None
    full: Words = np.array([(1 << tree.leaves) - 1 for tree in trees], dtype=word)
    left, right = _leaves_below(trees, word)
    tables: list[NumberTable | CategoryTable] = []
    for column, count in places.items():
        chosen = splits.column == column
        own, goes_left, goes_right = splits[chosen], ~right[chosen], ~left[chosen]
        if own.categorical.any():
            sets = [_category_set(trees[tree], int(at)) for tree, at in zip(own.tree, own.threshold, strict=True)]
            words = _category_words(np.tile(full, (count, 1)), own, sets, goes_left, goes_right)
            tables.append(CategoryTable(column, words))
        else:
            thresholds, zero_apart = np.unique(own.threshold), bool((own.missing == _MISSING_ZERO).any())
            words = _number_words(np.tile(full, (count, 1)), own, thresholds, goes_left, goes_right)
            tables.append(NumberTable(column, thresholds, words, zero_apart))
    return tables


def _places(trees: Sequence[Tree], splits: _Splits) -> dict[int, int]:
    """Lines of each column's table; none at all for a model that is not taken."""
    columns = np.unique(splits.column).tolist()
    if len(columns) > MAX_COLUMNS or not np.isfinite(splits.threshold).all():
        return {}
    places = {}
    for column in columns:
        own = splits[splits.column == column]
        if not own.categorical.any():
            places[column] = len(np.unique(own.threshold)) + 3
        elif own.categorical.all():
            bounds = [trees[tree].cat_boundaries for tree in own.tree.tolist()]
            words = [ends[at + 1] - ends[at] for ends, at in zip(bounds, own.threshold.astype(np.int64), strict=True)]
            places[column] = 32 * int(max(words)) + 1
        else:
            return {}
    return places


def _number_words(lines: Words, splits: _Splits, thresholds: Floats, goes_left: Words, goes_right: Words) -> Words:
    """A split leaves its left side standing up to the place of its threshold, its right side beyond."""
    place, count = thresholds.searchsorted(splits.threshold), len(thresholds) + 1
    up_to, beyond, special = lines[:count], lines[:count].copy(), lines[count:]
    np.bitwise_and.at(up_to, (place, splits.tree), goes_left)
    np.bitwise_and.at(beyond, (place + 1, splits.tree), goes_right)
    up_to = np.bitwise_and.accumulate(up_to[::-1], axis=0)[::-1]
    beyond = np.bitwise_and.accumulate(beyond, axis=0)
    zero_left = splits.threshold >= 0
    # A null where nulls are not told apart counts as zero, and zero counts as null where the model was taught so.
    null_left = np.where(splits.missing > 0, splits.default_left, zero_left)
    zero_left = np.where(splits.missing == _MISSING_ZERO, splits.default_left, zero_left)
    for line, to_left in zip(special, (null_left, zero_left), strict=True):
        np.bitwise_and.at(line, splits.tree, np.where(to_left, goes_left, goes_right))
    return np.concatenate([up_to & beyond, special])


def _category_words(
    lines: Words, splits: _Splits, sets: Sequence[Integers], goes_left: Words, goes_right: Words
) -> Words:
    """A split sends the categories of its set to the left, nulls and all others to the right."""
    for index, (tree, categories) in enumerate(zip(splits.tree.tolist(), sets, strict=True)):
        inside = np.zeros(len(lines), dtype=bool)
        inside[categories] = True
        lines[:, tree] &= np.where(inside, goes_left[index], goes_right[index])
    return lines


def _category_set(tree: Tree, chosen: int) -> Integers:
    """Members of a tree's set: bits of 32-bit words."""
    words = tree.cat_threshold[tree.cat_boundaries[chosen] : tree.cat_boundaries[chosen + 1]]
    return np.flatnonzero((words[:, np.newaxis] >> np.arange(32)) & 1)


def leaves_from_left(tree: Tree) -> list[int]:
    """Leaves in the order in which they hang."""
    if tree.leaves == 1:
        return [0]
    leaves: list[int] = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        if node < 0:
            leaves.append(~node)
        else:
            waiting += (int(tree.right_child[node]), int(tree.left_child[node]))
    return leaves


def _leaves_below(trees: Sequence[Tree], word: np.dtype[np.unsignedinteger[Any]]) -> tuple[Words, Words]:
    """Leaves below the left and the right side of each split of all trees, as bits in the order from the left."""
    sides = [_bits_below(tree) for tree in trees]
    left, right = ([bits for tree in sides for bits in tree[side]] for side in (0, 1))
    return np.array(left, dtype=word), np.array(right, dtype=word)


def _bits_below(tree: Tree) -> tuple[list[int], list[int]]:
    """Leaves below the left and the right side of each split, as bits in the order of `leaves_from_left`."""
    bit = {leaf: 1 << place for place, leaf in enumerate(leaves_from_left(tree))}
    sides = tree.left_child.tolist(), tree.right_child.tolist()
    left, right = [0] * len(sides[0]), [0] * len(sides[1])
    waiting = [(0, False)] if left else []
    while waiting:
        node, children_known = waiting.pop()
        below = sides[0][node], sides[1][node]
        if not children_known:
            waiting += [(node, True), *((child, False) for child in below if child >= 0)]
            continue
        left[node], right[node] = (bit[~child] if child < 0 else left[child] | right[child] for child in below)
    return left, right
