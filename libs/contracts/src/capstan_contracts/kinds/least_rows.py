"""How many rows a window needs before its drift test can tell anything."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

COLUMNS: Final = 50
"""Columns that are judged together, where they are not known yet."""

POWER: Final = 0.9
_CELLS: Final = 12
"""Of a numeric sketch with ten quantile bins: these, and one beyond each end."""
_BEFORE: Final = 0.1
_AFTER: Final = 0.3891
"""Share of rows in the outermost tenth of a normal column, before and after it moves by one standard deviation."""
_BOTH_TESTS_BOTH_SIDES: Final = 4


@cache
def least_rows(alpha: float, columns: int = COLUMNS) -> int:
    """The fewest rows at which a shift of one standard deviation of one numeric column is told in nine of ten windows.

    `alpha` is the false discovery rate over the columns. The test that is meant is Fisher's exact one of the outermost
    bin, as `capstan_formats.sketches.homogeneity` makes it, against a baseline that is much larger than the window, and
    corrected as Benjamini and Hochberg do when one of `columns` has moved. A shift at the floor needs about five times
    as many rows, one of two deviations about a third.
    """
    level = alpha / columns / _CELLS / _BOTH_TESTS_BOTH_SIDES
    rows = 1
    while _tail(_critical(level, rows), rows, _AFTER) < POWER:
        rows += 1
    return rows


def _critical(level: float, rows: int) -> int:
    """The fewest rows in the bin that are significant; more than there are where none are."""
    tail, fewest = 0.0, rows
    while fewest >= 0 and (tail := tail + _share(fewest, rows, _BEFORE)) <= level:
        fewest -= 1
    return fewest + 1


def _tail(fewest: int, rows: int, share: float) -> float:
    return math.fsum(_share(successes, rows, share) for successes in range(fewest, rows + 1))


def _share(successes: int, rows: int, share: float) -> float:
    ways = math.lgamma(rows + 1) - math.lgamma(successes + 1) - math.lgamma(rows - successes + 1)
    return math.exp(ways + successes * math.log(share) + (rows - successes) * math.log(1 - share))
