"""The C library answers exactly what LightGBM's own Python package answers, and broken models never reach it."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import lightgbm
import numpy as np
import pytest

from capstan_engines.errors import EngineError
from capstan_engines.lightgbm.booster import Booster
from capstan_engines.lightgbm.booster_text import BoosterTextError, check_booster_text


def test_same_answers_as_lightgbm(trained: Any) -> None:
    expected = trained.booster.predict(trained.rows, num_threads=1)
    with Booster(trained.text) as booster:
        assert booster.num_features == 4
        assert booster.feature_names == ["distance", "temp", "carrier", "scheduled_hour"]
        np.testing.assert_array_equal(booster.predict(trained.rows), expected)
        one_by_one = [booster.predict(trained.rows[row : row + 1])[0] for row in range(300)]
        np.testing.assert_array_equal(one_by_one, expected[:300])


def test_answers_are_not_overwritten_by_the_next_call(trained: Any) -> None:
    with Booster(trained.text) as booster:
        first = booster.predict(trained.rows[:1])
        kept = first.copy()
        booster.predict(trained.rows[1:2])
        np.testing.assert_array_equal(first, kept)


def test_other_memory_layouts(trained: Any) -> None:
    expected = trained.booster.predict(trained.rows[:50])
    with Booster(trained.text) as booster:
        np.testing.assert_array_equal(booster.predict(np.asfortranarray(trained.rows[:50])), expected)
        np.testing.assert_array_equal(booster.predict(trained.rows[:50][::-1]), expected[::-1])
        assert booster.predict(np.empty((0, 4))).shape == (0,)


def test_wrong_shapes_and_types(trained: Any) -> None:
    with Booster(trained.text) as booster:
        wrong: list[Any] = [np.zeros((1, 3)), np.zeros((1, 5)), np.zeros(4), np.zeros((1, 4), dtype=np.float32)]
        for bad in wrong:
            with pytest.raises(EngineError, match="needed"):
                booster.predict(bad)


def test_closed(trained: Any) -> None:
    booster = Booster(trained.text, checked=check_booster_text(trained.text))
    booster.predict(trained.rows[:1])
    booster.close()
    booster.close()
    with pytest.raises(EngineError, match="closed"):
        booster.predict(trained.rows[:1])


def test_many_threads_and_a_close_in_between(trained: Any) -> None:
    expected = trained.booster.predict(trained.rows)
    booster = Booster(trained.text)
    wrong: list[int] = []
    ready = threading.Barrier(5)

    def ask(start: int) -> None:
        ready.wait()
        try:
            for row in list(range(start, len(trained.rows), 4)) * 20:
                if booster.predict(trained.rows[row : row + 1])[0] != expected[row]:
                    wrong.append(row)
        except EngineError as error:
            assert "closed" in str(error)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    for row in range(200):
        booster.predict(trained.rows[row : row + 2])
    booster.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert wrong == []


def test_the_package_lightgbm_is_not_imported() -> None:
    code = (
        "import sys, capstan_engines.lightgbm.booster as e; e._library();"
        "assert not {'lightgbm', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"tree\n", b"bush\n", "not a LightGBM model"),
        (b"version", b"ver\0ion", "not a LightGBM model"),
        (b"num_class=1", b"num_class=3", "one tree per output"),
        (b"num_class=1", b"num_class=0", "num_class must be above 0"),
        (b"num_tree_per_iteration=1", b"num_tree_per_iteration=x", "whole number"),
        (b"max_feature_idx=3", b"max_feature_idx=4", "feature_names must have 5"),
        (b"max_feature_idx=3", b"", "max_feature_idx must be"),
        (b"tree_sizes=", b"tree_sizes=9999", "tree 0: does not begin or end"),
        (b"tree_sizes=", b"tree_sizes=-5 ", "tree 0: does not begin or end"),
        (b"Tree=1\n", b"Tree=7\n", "tree 1: does not begin"),
        (b"num_leaves=15", b"num_leaves=99", "tree 0: leaf_value must have 99"),
        (b"num_leaves=15", b"num_leaves=00", "tree 0: num_leaves must be above 0"),
        (b"is_linear=0", b"is_linear=1", "linear trees"),
        (b"split_feature=", b"split_feature=9", "tree 0: split_feature is not one of 4"),
        (b"left_child=", b"left_child=9", "do not form a tree"),
        (b"right_child=", b"right_child=x", "right_child must be whole numbers"),
        (b"threshold=", b"threshold=one", "threshold must be numbers"),
        (b"leaf_value=", b"leaf_valve=", "leaf_value must have 15 entries, not 0"),
        (b"cat_boundaries=0", b"cat_boundaries=5", "cat_boundaries must rise from 0"),
        (b"end of trees", b"end", "does not end after the trees"),
    ],
)
def test_broken_texts(trained: Any, old: bytes, new: bytes, says: str) -> None:
    assert old in trained.text
    broken = trained.text.replace(old, new, 1)
    if b"tree_sizes" not in old and len(old) != len(new):
        broken = resized(broken, len(new) - len(old), broken.find(new) > broken.find(b"\nTree=0"))
    with pytest.raises(BoosterTextError, match=says):
        check_booster_text(broken)
    with pytest.raises(EngineError, match=says):
        Booster(broken)


def resized(text: bytes, difference: int, in_tree: bool) -> bytes:
    """Corrects tree_sizes of the first tree with a change of length, so that only the change itself is wrong."""
    if not in_tree:
        return text
    start = text.index(b"tree_sizes=") + len(b"tree_sizes=")
    end = text.index(b"\n", start)
    sizes = [int(size) for size in text[start:end].split()]
    position = text.index(b"\nTree=0\n") + 1
    index = 0
    while index < len(sizes) - 1 and text[position + sizes[index] :].startswith(b"Tree="):
        position += sizes[index]
        index += 1
    sizes[index] += difference
    return text[:start] + b" ".join(str(size).encode() for size in sizes) + text[end:]


@pytest.mark.parametrize("cut", [0, 5, 100, 1000, 5000])
def test_cut_texts(trained: Any, cut: int) -> None:
    with pytest.raises(EngineError):
        Booster(trained.text[:cut])


@pytest.mark.parametrize(
    "settings",
    [
        {"boosting": "dart"},
        {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        {"max_depth": 2, "monotone_constraints": [1, 0, 0, 0]},
        {"num_leaves": 2},
        {"min_data_in_leaf": 10_000},
    ],
)
def test_models_of_every_make_pass_the_check(trained: Any, settings: dict[str, Any]) -> None:
    label = (trained.rows[:, 0] > 0).astype(int)
    data = lightgbm.Dataset(trained.rows, label)
    model = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1, **settings}, data, 5)
    text = model.model_to_string().encode()
    assert check_booster_text(text).columns == 4
    np.testing.assert_array_equal(Booster(text).predict(trained.rows), model.predict(trained.rows))
