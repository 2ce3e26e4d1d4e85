"""Tails of the hypergeometric distribution, by which Fisher's exact test asks about one cell of a two-sample table."""

from __future__ import annotations

import math


def at_least(successes: int, drawn: int, marked: int, total: int) -> float:
    """P(X >= successes) of a hypergeometric X: `drawn` of `total` without replacement, of which `marked` count.

    Exact up to rounding (log-gamma); sums from `successes` outward, so the cost is a few standard deviations of terms.
    """
    low, high = max(0, drawn + marked - total), min(drawn, marked)
    if successes <= low:
        return 1.0
    mode = (drawn + 1) * (marked + 1) // (total + 2)
    if successes > mode:
        first = math.exp(_log_share(successes, drawn, marked, total))
        return min(1.0, first * _rising(successes, high, drawn, marked, total))
    below = successes - 1
    first = math.exp(_log_share(below, drawn, marked, total))
    return max(0.0, 1.0 - first * _falling(below, low, drawn, marked, total))


def at_most(successes: int, drawn: int, marked: int, total: int) -> float:
    """P(X <= successes) of the same X: the marked that were not drawn are hypergeometric too."""
    return at_least(marked - successes, total - drawn, marked, total)


def _rising(start: int, high: int, drawn: int, marked: int, total: int) -> float:
    """Sum of P(k) / P(start) for k from start to high: terms fall, since start lies above the mode."""
    sum_, term = 1.0, 1.0
    for k in range(start, high):
        term *= (drawn - k) * (marked - k) / ((k + 1) * (total - drawn - marked + k + 1))
        sum_ += term
        if term < sum_ * 1e-17:
            break
    return sum_


def _falling(start: int, low: int, drawn: int, marked: int, total: int) -> float:
    """The same from start down to low: terms fall, since start lies below the mode."""
    sum_, term = 1.0, 1.0
    for k in range(start, low, -1):
        term *= k * (total - drawn - marked + k) / ((drawn - k + 1) * (marked - k + 1))
        sum_ += term
        if term < sum_ * 1e-17:
            break
    return sum_


def _log_share(successes: int, drawn: int, marked: int, total: int) -> float:
    return _log_choose(marked, successes) + _log_choose(total - marked, drawn - successes) - _log_choose(total, drawn)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
