"""Intervals that may be looked at as often as one likes: after each label that comes, and acted on at the first alarm.

An interval of 95 % misses the truth once in twenty *when it is looked at once*. Looked at after every five labels of a
thousand, one of them misses it in every fifth case. A confidence sequence holds the truth at all looks together:
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 52, theorem 2.2 and its choice of rho. It is the fixed interval with a wider quantile,
so any metric's own interval becomes one at the confidence that `confidence_at` gives. It is asymptotic: the first look
comes only after `first` items.
"""

from __future__ import annotations

import math
from statistics import NormalDist


def confidence_at(items: int, first: int, confidence: float) -> float:
    """The confidence of a fixed interval of so many items that belongs to a sequence with this one from `first` on.

    0.9976 instead of 0.95 at the first look, and slowly more. ValueError before the first look.
    """
    if not 1 <= first <= items:
        raise ValueError(f"the first look is at {first} items, and there are {items}")
    error = 1 - confidence
    doubt = -2 * math.log(error)
    square = (doubt + math.log(doubt + 1)) / first * items
    quantile = math.sqrt(2 * (square + 1) / square * math.log(math.sqrt(square + 1) / error))
    return 2 * NormalDist().cdf(quantile) - 1
