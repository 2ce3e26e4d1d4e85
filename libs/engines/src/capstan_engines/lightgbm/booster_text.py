"""Reads a LightGBM model text and checks its structure: LightGBM's own parser ends the process on a broken tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

MAGIC: Final = b"tree\n"
#: Arrays of a tree with one entry per split, and per leaf; the optional ones are only informative.
_SPLIT_INTEGERS: Final = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
_SPLIT_NUMBERS: Final = ("threshold", "split_gain", "internal_value", "internal_weight")
_LEAF_INTEGERS: Final = ("leaf_count",)
_OPTIONAL: Final = frozenset(
    {"internal_count", "split_gain", "internal_value", "internal_weight", "leaf_count", "leaf_weight"}
)
CATEGORICAL: Final = 1
Members = Mapping[str, bytes]
_NONE: Final = np.empty(0, dtype=np.int64)


class BoosterTextError(ValueError):
    """The text is not a LightGBM model that can be loaded; the message names the tree and the member."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree as LightGBM writes it: an entry per leaf or split, children below 0 are leaves (`~child`)."""

    leaves: int
    leaf_value: npt.NDArray[np.float64]
    split_feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    decision_type: npt.NDArray[np.int64]
    left_child: npt.NDArray[np.int64]
    right_child: npt.NDArray[np.int64]
    cat_boundaries: npt.NDArray[np.int64]
    cat_threshold: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BoosterText:
    """A model: columns of a row, outputs per row (1: no classes), objective with its settings, and the trees.

    `averaged`: the answer is the mean of the trees and not their sum, as in a random forest.
    """

    columns: int
    classes: int
    objective_words: tuple[str, ...]
    averaged: bool
    trees: tuple[Tree, ...]

    @property
    def objective(self) -> str:
        """The objective's name; empty where there is none."""
        return self.objective_words[0] if self.objective_words else ""


def check_booster_text(text: bytes) -> BoosterText:
    """Checks header and every tree. BoosterTextError says what is wrong.

    Each tree must be one: every node but the root and every leaf is the child of exactly one node.
    """
    if not text.startswith(MAGIC) or b"\0" in text:
        raise BoosterTextError("not a LightGBM model in text form")
    start = text.find(b"\nTree=") + 1
    if not start:
        raise BoosterTextError("the model has no tree")
    first, header = start, _members(text[:start])
    width = _whole(header, "max_feature_idx", "header") + 1
    classes = _classes(header)
    for member in ("feature_names", "feature_infos"):
        if len(header.get(member, b"").split()) != width:
            raise BoosterTextError(f"header: {member} must have {width} entries")
    sizes = _integers(header, "tree_sizes", None, "header").tolist()
    if len(sizes) % classes:
        raise BoosterTextError(f"header: tree_sizes must have a multiple of {classes} entries: one tree per class")
    trees = []
    for index, size in enumerate(sizes):
        block = text[start : start + max(size, 0)]
        if len(block) != size or not block.startswith(b"Tree=%d\n" % index):
            raise BoosterTextError(f"tree {index}: does not begin or end where tree_sizes says")
        trees.append(_tree(_members(block), width, f"tree {index}"))
        start += size
    if not text[start:].lstrip(b"\n").startswith(b"end of trees"):
        raise BoosterTextError("the text does not end after the trees that tree_sizes lists")
    words = tuple(header.get("objective", b"").decode("latin-1").split())
    # "average_output" stands on a line of its own, without a value.
    return BoosterText(width, classes, words, b"\naverage_output\n" in text[:first], tuple(trees))


def _classes(header: Members) -> int:
    """One output per row, or one per class with a tree each; what lies between would be read beyond its end."""
    classes = _whole(header, "num_class", "header")
    if classes < 1 or _whole(header, "num_tree_per_iteration", "header") != classes:
        rule = "num_class must be above 0 and equal num_tree_per_iteration: one tree per output"
        raise BoosterTextError(f"header: {rule}")
    return classes


def _tree(tree: Members, width: int, place: str) -> Tree:
    leaves = _whole(tree, "num_leaves", place)
    if leaves < 1 or tree.get("is_linear", b"0") != b"0":
        raise BoosterTextError(f"{place}: num_leaves must be above 0, and linear trees are not taken")
    values = _numbers(tree, "leaf_value", leaves, place)
    if leaves == 1:
        return Tree(1, values, _NONE, _NONE.astype(np.float64), _NONE, _NONE, _NONE, _NONE, _NONE)
    _numbers(tree, "leaf_weight", leaves, place)
    for member in _LEAF_INTEGERS:
        _integers(tree, member, leaves, place)
    numbers = {member: _numbers(tree, member, leaves - 1, place) for member in _SPLIT_NUMBERS}
    splits = {member: _integers(tree, member, leaves - 1, place) for member in _SPLIT_INTEGERS}
    feature, left, right = (splits[member] for member in ("split_feature", "left_child", "right_child"))
    if (feature < 0).any() or (feature >= width).any():
        raise BoosterTextError(f"{place}: split_feature is not one of {width} features")
    children = np.sort(np.concatenate([left, right]))
    if not np.array_equal(children, np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])):
        raise BoosterTextError(f"{place}: left_child and right_child do not form a tree")
    categories = _categories(tree, splits["decision_type"], numbers["threshold"], place)
    return Tree(leaves, values, feature, numbers["threshold"], splits["decision_type"], left, right, *categories)


def _categories(
    tree: Members, decision: npt.NDArray[np.int64], threshold: npt.NDArray[np.float64], place: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bounds and words of the sets of categories that splits choose from."""
    categorical = (decision & CATEGORICAL) != 0
    count = _whole(tree, "num_cat", place)
    if not count:
        if categorical.any():
            raise BoosterTextError(f"{place}: a categorical split without num_cat")
        return _NONE, _NONE
    bounds = _integers(tree, "cat_boundaries", count + 1, place)
    if bounds[0] != 0 or (np.diff(bounds) < 0).any():
        raise BoosterTextError(f"{place}: cat_boundaries must rise from 0")
    words = _integers(tree, "cat_threshold", int(bounds[-1]), place)
    chosen = threshold[categorical]
    if ((chosen < 0) | (chosen >= count)).any():
        raise BoosterTextError(f"{place}: a categorical threshold is not one of {count}")
    return bounds, words


def _members(block: bytes) -> dict[str, bytes]:
    pairs = (line.split(b"=", 1) for line in block.split(b"\n") if b"=" in line)
    return {key.decode("latin-1"): value for key, value in pairs}


def _whole(block: Members, member: str, place: str) -> int:
    text = block.get(member, b"")
    if not text.isdigit() or len(text) > 9:
        raise BoosterTextError(f"{place}: {member} must be a whole number from 0")
    return int(text)


def _integers(block: Members, member: str, length: int | None, place: str) -> npt.NDArray[np.int64]:
    tokens = _tokens(block, member, length, place)
    try:
        return np.array([int(token) for token in tokens], dtype=np.int64)
    except (ValueError, OverflowError):
        raise BoosterTextError(f"{place}: {member} must be whole numbers") from None


def _numbers(block: Members, member: str, length: int | None, place: str) -> npt.NDArray[np.float64]:
    tokens = _tokens(block, member, length, place)
    try:
        return np.array([float(token) for token in tokens], dtype=np.float64)
    except ValueError:
        raise BoosterTextError(f"{place}: {member} must be numbers") from None


def _tokens(block: Members, member: str, length: int | None, place: str) -> list[bytes]:
    tokens = block.get(member, b"").split()
    if length is not None and len(tokens) != length and not (member in _OPTIONAL and member not in block):
        raise BoosterTextError(f"{place}: {member} must have {length} entries, not {len(tokens)}")
    return tokens
