"""From sums of leaves to answers, as LightGBM's objectives make them (src/objective), to the same last bit.

So with the C library's `exp`, which `math` has too; numpy's own differs in the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from capstan_engines.lightgbm.booster_text import BoosterText

Numbers = list[float]
Output = Callable[[Numbers], Numbers]


def output_of(text: BoosterText) -> Output | None:
    """What makes answers of sums, row after row, for a model's objective; None where that is not known here."""
    settings, classes = dict(word.partition(":")[::2] for word in text.objective_words[1:]), text.classes
    if "sqrt" in settings:
        return None
    name = text.objective
    if name == "binary":
        steepness = float(settings.get("sigmoid", "1"))
        return lambda raw: [1.0 / (1.0 + _exp(-steepness * value)) for value in raw]
    if name == "cross_entropy":
        return lambda raw: [1.0 / (1.0 + _exp(-value)) for value in raw]
    if name in ("poisson", "gamma", "tweedie"):
        return lambda raw: [_exp(value) for value in raw]
    if name == "multiclass":
        return lambda raw: _softmax(raw, classes)
    if name in ("regression", "regression_l1", "huber", "fair", "quantile", "mape"):
        return lambda raw: raw
    return None


def _softmax(raw: Numbers, classes: int) -> Numbers:
    answers: Numbers = []
    for start in range(0, len(raw), classes):
        row = raw[start : start + classes]
        top = max(row)
        powers = [_exp(value - top) for value in row]
        total = 0.0
        for power in powers:  # `sum` of Python 3.12 compensates, LightGBM does not
            total += power
        answers += [power / total for power in powers]
    return answers


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
