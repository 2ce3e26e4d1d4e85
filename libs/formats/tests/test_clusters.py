"""Rows that share a looked-up value: how many count as one, and what is left of a sketch then."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_formats.sketches import CategorySketch, ClusterSketch, NumericSketch, SketchError, thinned
from capstan_formats.sketches.clusters import MOST_CLUSTERS


def of(sizes: dict[int, int]) -> ClusterSketch:
    sketch = ClusterSketch()
    sketch.update({(number, "key"): rows for number, rows in sizes.items()})
    return sketch


def test_the_design_effect_is_the_size_of_clusters_of_one_size() -> None:
    assert ClusterSketch().design_effect == 1
    assert of(dict.fromkeys(range(50), 1)).design_effect == 1
    assert of(dict.fromkeys(range(50), 30)).design_effect == 30
    assert of({0: 1, 1: 3}).design_effect == pytest.approx((1 + 9) / 4)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 9)), max_size=60), st.integers(0, 60))
def test_parts_merged_are_the_whole(rows: list[tuple[int, int]], cut: int) -> None:
    whole, parts = ClusterSketch(), [ClusterSketch(), ClusterSketch()]
    for position, (name, count) in enumerate(rows):
        whole.update({(name,): count})
        parts[position >= cut].update({(name,): count})
    assert parts[0].merge(parts[1]) == whole
    assert ClusterSketch.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_of_very_many_clusters_a_sample_is_kept_that_says_the_same() -> None:
    random = np.random.default_rng(3)
    sizes = {number: int(rows) for number, rows in enumerate(random.integers(1, 60, 40_000))}
    sketch, halves = of(sizes), [of({k: v for k, v in sizes.items() if k % 2 == half}) for half in (0, 1)]
    assert len(sketch.sizes) <= MOST_CLUSTERS and sketch.level > 0
    exact = sum(v * v for v in sizes.values()) / sum(sizes.values())
    assert sketch.design_effect == pytest.approx(exact, rel=0.1)
    assert halves[0].merge(halves[1]) == sketch


def test_names_differ_by_their_values_and_types() -> None:
    sketch = ClusterSketch()
    sketch.update({("JFK", 1): 1, ("JFK", "1"): 1, ("JFK", None): 1, ("é\ud800", 1): 1, ("JFK", 1.5): 1})
    assert len(sketch.sizes) == 5


@pytest.mark.parametrize(
    "wrong",
    [{"level": 0}, {"level": 99, "sizes": {}}, {"level": 0, "sizes": {"x": 1}}, {"level": 0, "sizes": {"a": -1}}],
)
def test_what_is_no_cluster_sketch_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SketchError):
        ClusterSketch.from_json(wrong)


def test_a_thinned_sketch_has_the_shares_of_the_whole() -> None:
    numbers = NumericSketch.build([*np.linspace(0, 1, 9_000), *[None] * 1_000])
    found = thinned(numbers, 30)
    assert found.total == round(10_000 / 30) and found.cell_names() == numbers.cell_names()
    np.testing.assert_allclose(found.cell_counts() / found.total, numbers.cell_counts() / numbers.total, atol=0.005)
    words = CategorySketch.build(["a"] * 70 + ["b"] * 29 + ["c"], top=2)
    assert thinned(words, 10).cell_counts().tolist() == [7, 3, 0, 0]
    assert thinned(words, 1.0) is words and words.total == 100
