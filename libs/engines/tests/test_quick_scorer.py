"""Tables answer what LightGBM answers, to the last bit: every objective, nulls, zeros, categories, odd numbers."""

from __future__ import annotations

import math
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest

from capstan_engines.lightgbm.booster import Booster
from capstan_engines.lightgbm.booster_text import check_booster_text
from capstan_engines.lightgbm.quick_scorer import QuickScorer, quick_scorer

COLUMNS, CATEGORY = 5, 4
#: What rows hold beside ordinary numbers. Categories are learned from 0 to 39; LightGBM cuts fractions off.
ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-36, -1e-36, 1e-35, 2e-35, 1e300, -1e300, 5e-324, 2.7, -0.5, -1.0]
ODD_CATEGORIES = [*ODD, 39.0, 40.0, 63.0, 64.0, 1e6, 2.0**31, 2.0**40]
Rows = npt.NDArray[np.float64]


def rows_of(count: int, seed: int, odd: float = 0.3) -> Rows:
    """Rows whose last column is a category; a share of the cells is odd."""
    random = np.random.default_rng(seed)
    rows = np.round(random.normal(size=(count, COLUMNS)), 1)
    rows[:, CATEGORY] = random.integers(40, size=count)
    for column in range(COLUMNS):
        choice = ODD_CATEGORIES if column == CATEGORY else ODD
        rows[:, column] = np.where(random.random(count) < odd, random.choice(choice, count), rows[:, column])
    return rows


def trained(rounds: int = 20, **settings: Any) -> lightgbm.Booster:
    """A model of these rows, which has seen nulls and zeros."""
    random = np.random.default_rng(5)
    rows = rows_of(4000, 5, odd=0.0)
    signal = rows[:, 0] - rows[:, 1] ** 2 + np.sin(rows[:, CATEGORY]) + random.normal(size=len(rows)) / 4
    rows[random.random(rows.shape) < 0.1] = math.nan
    rows[random.random(rows.shape) < 0.1] = 0.0
    objective = settings.get("objective", "binary")
    classes = settings.get("num_class", 1)
    label = np.exp(signal / 4) if objective in ("poisson", "gamma", "tweedie") else signal
    if objective in ("binary", "cross_entropy"):
        label = (signal > 0).astype(float)
    elif classes > 1:
        label = np.clip(np.floor(signal) + 2, 0, classes - 1)
    data = lightgbm.Dataset(rows, label, categorical_feature=[CATEGORY], params={"max_cat_to_onehot": 2})
    return lightgbm.train({"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5} | settings, data, rounds)


def scorer_of(model: lightgbm.Booster) -> QuickScorer | None:
    return quick_scorer(check_booster_text(model.model_to_string().encode()))


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary"},
        {"objective": "binary", "sigmoid": 2.5},
        {"objective": "cross_entropy"},
        {"objective": "regression", "num_leaves": 64},
        {"objective": "regression", "use_missing": False},
        {"objective": "regression", "zero_as_missing": True},
        {"objective": "regression", "num_leaves": 2},
        {"objective": "regression", "min_data_in_leaf": 1900},  # trees of one leaf among others
        {"objective": "regression_l1"},
        {"objective": "huber"},
        {"objective": "fair"},
        {"objective": "quantile", "alpha": 0.9},
        {"objective": "mape"},
        {"objective": "poisson"},
        {"objective": "gamma"},
        {"objective": "tweedie"},
        {"objective": "multiclass", "num_class": 4},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_to_the_last_bit(settings: dict[str, Any]) -> None:
    model = trained(**settings)
    scorer = scorer_of(model)
    assert scorer is not None
    for count in (2, 3, 64, 255, 256, 257, 513):
        for odd in (0.0, 0.4):
            rows = rows_of(count, count, odd)
            np.testing.assert_array_equal(scorer.predict(rows), model.predict(rows, num_threads=1))


def test_answers_too_large_for_an_exponent() -> None:
    model = trained(objective="poisson")
    text = model.model_to_string()
    line = next(line for line in text.split("\n") if line.startswith("leaf_value="))
    huge = line[:11] + " ".join(["-800" if index % 2 else "800" for index in range(len(line[11:].split()))])
    sizes = next(line for line in text.split("\n") if line.startswith("tree_sizes="))
    first, *rest = sizes[11:].split()
    text = text.replace(line, huge, 1)
    text = text.replace(sizes, " ".join(["tree_sizes=" + str(int(first) + len(huge) - len(line)), *rest]))
    edited = lightgbm.Booster(model_str=text)
    scorer, rows = quick_scorer(check_booster_text(text.encode())), rows_of(64, 1)
    assert scorer is not None
    answers = scorer.predict(rows)
    assert np.isinf(answers).any() and (answers == 0).any()
    np.testing.assert_array_equal(answers, edited.predict(rows, num_threads=1))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_leaves": 65, "objective": "regression"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    ],
    ids=["leaves", "square-root", "mean-of-trees"],
)
def test_what_is_left_to_lightgbm(settings: dict[str, Any]) -> None:
    model, rows = trained(**settings), rows_of(300, 3)
    assert scorer_of(model) is None
    with Booster(model.model_to_string().encode()) as booster:
        np.testing.assert_array_equal(booster.predict(rows), model.predict(rows, num_threads=1))


def test_models_whose_tables_would_be_large_or_many() -> None:
    random = np.random.default_rng(1)
    wide = random.normal(size=(2000, 70))
    settings = {"objective": "regression", "verbosity": -1, "num_leaves": 64, "min_data_in_leaf": 5, "num_threads": 1}
    noise = random.normal(size=2000)
    many = lightgbm.train(settings | {"feature_fraction": 0.2}, lightgbm.Dataset(wide, noise), 60)
    assert scorer_of(many) is None
    large = lightgbm.train(settings, lightgbm.Dataset(wide[:, :20], noise), 250)
    assert scorer_of(large) is None


def test_few_rows_go_to_lightgbm_and_many_to_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    with Booster(model.model_to_string().encode()) as booster:
        assert booster.quick is not None and booster.quick.fewest_rows == 20  # 80 * 5 columns / 20 trees
        asked: list[int] = []
        predict = QuickScorer.predict

        def counted(scorer: QuickScorer, rows: Rows) -> Rows:
            asked.append(len(rows))
            return predict(scorer, rows)

        monkeypatch.setattr(QuickScorer, "predict", counted)
        for count in (1, 2, 19, 20, 21):
            rows = rows_of(count, count)
            np.testing.assert_array_equal(booster.predict(rows), model.predict(rows, num_threads=1))
        assert asked == [20, 21]
