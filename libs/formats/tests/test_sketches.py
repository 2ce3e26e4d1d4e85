"""Sketches: merging equals one pass, whatever the split; every kind of value has its cell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role, SketchError

NUMBERS = st.lists(st.none() | st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, 0.0, 1.0]), max_size=60)
WORDS = st.lists(st.none() | st.sampled_from(["AA", "B6", "UA", "ZZ", ""]), max_size=60)


def same(left: NumericSketch, right: NumericSketch) -> None:
    assert left.cell_counts().tolist() == right.cell_counts().tolist()
    assert (left.minimum, left.maximum) == (right.minimum, right.maximum)
    assert left.mean == pytest.approx(right.mean, rel=1e-9, abs=1e-6)
    assert left.m2 == pytest.approx(right.m2, rel=1e-6, abs=1e-3)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_numeric_merge_is_associative_and_equals_one_pass(base: Any, a: Any, b: Any, c: Any) -> None:
    empty = NumericSketch.build(base).empty_like()
    parts = []
    for values in (a, b, c):
        part = empty.empty_like()
        part.update(values)
        parts.append(part)
    once = empty.empty_like()
    once.update([*a, *b, *c])
    same(parts[0].merge(parts[1]).merge(parts[2]), once)
    same(parts[0].merge(parts[1].merge(parts[2])), once)
    same(parts[2].merge(parts[0]).merge(parts[1]), once)
    assert once.total == len(a) + len(b) + len(c)
    same(NumericSketch.from_json(once.to_json()), once)


@given(WORDS, WORDS, WORDS)
def test_category_merge_equals_one_pass(base: Any, a: Any, b: Any) -> None:
    empty = CategorySketch.build(base, top=3).empty_like()
    left, right, once = empty.empty_like(), empty.empty_like(), empty.empty_like()
    left.update(a)
    right.update(b)
    once.update([*a, *b])
    assert left.merge(right).to_json() == right.merge(left).to_json() == once.to_json()
    assert once.total == len(a) + len(b)
    assert CategorySketch.from_json(once.to_json()).to_json() == once.to_json()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_moments_and_counts_agree_with_numpy(values: list[float]) -> None:
    sketch = NumericSketch.build(values)
    assert sketch.n == len(values)
    assert sketch.mean == pytest.approx(float(np.mean(values)), rel=1e-9, abs=1e-6)
    assert sketch.std == pytest.approx(float(np.std(values)), rel=1e-6, abs=1e-4)
    assert (sketch.minimum, sketch.maximum) == (min(values), max(values))
    assert sketch.counts[-1] == 0 and sketch.counts[0] == 0


def test_quantile_bins_are_even() -> None:
    sketch = NumericSketch.build(np.arange(1000.0), bins=10)
    assert sketch.counts[1:-1].tolist() == pytest.approx([100] * 10, abs=2)
    assert len(sketch.cell_names()) == len(sketch.cell_counts())


def test_outside_null_and_infinite() -> None:
    sketch = NumericSketch.build(np.arange(100.0)).empty_like()
    sketch.update([-1.0, 99.0, 1000.0, None, math.nan, math.inf, -math.inf, 1e200, 10**400])
    assert (sketch.counts[0], sketch.counts[-1], sketch.nulls, sketch.infinite) == (1, 1, 2, 4)
    assert sketch.n == 3


@pytest.mark.parametrize("values", [[0, 1] * 50, [0.0] * 95 + list(range(1, 6)), [3] * 10, [-1e9, 1e9]])
def test_heavy_values_have_their_own_bin(values: list[float]) -> None:
    sketch = NumericSketch.build(values)
    cells = {}
    for value in dict.fromkeys(values):
        one = sketch.empty_like()
        one.update([value])
        cells[value] = int(one.cell_counts().argmax())
    heavy = [value for value in cells if values.count(value) > len(values) / 10]
    for value in heavy:
        assert [cells[other] for other in cells].count(cells[value]) == 1
        nearly = sketch.empty_like()
        nearly.update([value * (1 + 1e-12)])
        assert int(nearly.cell_counts().argmax()) == cells[value]


@pytest.mark.parametrize("bins", [0, 1001])
def test_number_of_bins(bins: int) -> None:
    with pytest.raises(SketchError, match="bins must be"):
        NumericSketch.build([1.0], bins)


@pytest.mark.parametrize("bad", ["x", True, b"1", [1]])
def test_values_that_are_no_numbers(bad: Any) -> None:
    sketch = NumericSketch.build([1.0, 2.0])
    with pytest.raises(SketchError, match="row 1"):
        sketch.update([1.0, bad])
    assert sketch.total == 2


@pytest.mark.parametrize(
    "values", [np.array([1, 2]), np.array([1.0, np.nan], dtype="f4"), [np.float32(1), np.int8(2)], []]
)
def test_values_that_are_numbers(values: Any) -> None:
    assert NumericSketch.build(values).total == len(values)


def test_words() -> None:
    sketch = CategorySketch.build(["b", "a", "b", "c", None, math.nan, "a"], top=2)
    assert sketch.vocabulary == ("a", "b")
    assert sketch.cell_counts().tolist() == [2, 2, 1, 2]
    assert sketch.cell_names() == ["a", "b", "other", "null"]
    numbers = CategorySketch.build(np.array([4, 4, 2]))
    assert numbers.vocabulary == ("4", "2")
    flags = CategorySketch.build([True, False, np.bool_(True), np.str_("true")])
    assert flags.cell_counts().tolist() == [3, 1, 0, 0]
    with pytest.raises(SketchError, match="row 1: a word is"):
        sketch.update(["a", 1.5])
    assert sketch.total == 7
    with pytest.raises(SketchError, match="top must be"):
        CategorySketch.build(["a"], top=-1)


def test_sketches_that_do_not_fit() -> None:
    with pytest.raises(SketchError, match="different edges"):
        NumericSketch.build([1.0, 2.0]).merge(NumericSketch.build([1.0, 3.0]))
    with pytest.raises(SketchError, match="different vocabularies"):
        CategorySketch.build(["a"]).merge(CategorySketch.build(["b"]))


def test_merging_leaves_both_as_they_were() -> None:
    left, right = NumericSketch.build([1.0, 2.0]), NumericSketch.build([1.0, 2.0])
    before = left.to_json()
    left.merge(right).update([1.0])
    assert left.to_json() == right.to_json() == before


def baseline() -> Baseline:
    return Baseline(
        {
            "x": BaselineColumn(Role.FEATURE, NumericSketch.build([1.0, 2.0, 5.0, None])),
            "c": BaselineColumn(Role.FEATURE, CategorySketch.build(["a", "b", None])),
            "p": BaselineColumn(Role.PREDICTION, NumericSketch.build([0.2, 0.9])),
        }
    )


def test_baseline_round_trip_and_window() -> None:
    made = baseline()
    assert Baseline.from_bytes(made.to_bytes()).to_bytes() == made.to_bytes()
    assert list(made) == ["x", "c", "p"]
    assert list(made.of_role(Role.PREDICTION)) == ["p"]
    window = made.empty_window()
    assert {name: window[name].total for name in window} == {"x": 0, "c": 0, "p": 0}
    window["x"].update([3.0])
    assert made["x"].total == 4
    merged = window.merge(made)
    assert {name: merged[name].total for name in merged} == {"x": 5, "c": 3, "p": 2}


def test_baselines_that_do_not_fit() -> None:
    with pytest.raises(SketchError, match="'p' is only in one"):
        baseline().merge(Baseline({n: c for n, c in baseline().columns.items() if n != "p"}))
    other = dict(baseline().columns) | {"x": BaselineColumn(Role.FEATURE, CategorySketch.build(["a"]))}
    with pytest.raises(SketchError, match="column 'x': a numeric and a category"):
        baseline().merge(Baseline(other))
    other["x"] = BaselineColumn(Role.FEATURE, NumericSketch.build([9.0]))
    with pytest.raises(SketchError, match="column 'x': sketches with different edges"):
        baseline().merge(Baseline(other))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("format",), "x", "format must be"),
        (("columns",), [], "columns must be dict"),
        (("columns", "x"), 5, "column 'x': an object"),
        (("columns", "x", "role"), "target", "unknown role 'target'"),
        (("columns", "x", "sketch", "kind"), "hyperloglog", "unknown kind"),
        (("columns", "x", "sketch", "edges"), [1.0], "edges must be at least two"),
        (("columns", "x", "sketch", "edges"), [2.0, 1.0], "edges must be at least two"),
        (("columns", "x", "sketch", "edges"), ["a", "b"], "edges must be at most"),
        (("columns", "x", "sketch", "counts"), [1, 2], "counts must have"),
        (("columns", "x", "sketch", "nulls"), -1, "nulls must be a whole number"),
        (("columns", "x", "sketch", "nulls"), True, "nulls must be int"),
        (("columns", "x", "sketch", "m2"), -0.5, "m2 not negative"),
        (("columns", "x", "sketch", "min"), None, "min and max are numbers exactly where"),
        (("columns", "x", "sketch", "min"), 99.0, "min is above max"),
        (("columns", "c", "sketch", "vocabulary"), ["a", "a"], "repeats a word"),
        (("columns", "c", "sketch", "vocabulary"), ["a", 1], "at most .* strings"),
        (("columns", "c", "sketch", "counts"), [1.5, 1], "counts must hold whole numbers"),
    ],
)
def test_damaged_json(path: tuple[str, ...], value: Any, says: str) -> None:
    source: dict[str, Any] = baseline().to_json()
    place = source
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(SketchError, match=says):
        Baseline.from_json(source)
