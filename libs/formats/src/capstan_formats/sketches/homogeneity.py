"""Whether two sketches can be of one distribution: a test that is right for cells of any size."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from capstan_formats.sketches.distances import AnySketch, chi_square, counts_of
from capstan_formats.sketches.hypergeometric import at_least, at_most
from capstan_formats.sketches.rules import Counts

#: Cells nearer to what is expected are not asked: their p-value, times the number of cells, is 1 anyhow.
NEAR_IN_DEVIATIONS: Final = 1.5


class Homogeneity(NamedTuple):
    """`p_value`: uniform or larger without drift; `cell`: number of the cell that speaks most clearly."""

    p_value: float
    cell: int


def homogeneity(baseline: AnySketch, window: AnySketch) -> Homogeneity:
    """Two tests of the same table, each at half the level. Nulls are a cell. SketchError for sketches of other cells.

    1. Pearson's chi-square over the cells that are large enough for it: many small changes.
    2. Fisher's exact test of each cell against all others, two-sided, times the number of cells (Bonferroni): one cell
       that was empty or rare, of which the first test cannot speak. It holds for any number of rows, also where the
       cells are quantiles of the baseline: how many rows lie beyond its largest value has exactly this distribution.

    Words of a vocabulary are chosen for their counts in the baseline, so that of a column with many more words than the
    vocabulary the named ones fall back in every window: there the p-value is too small, and the floor alone decides.
    """
    left, right = counts_of(baseline, window)
    exact, cell = _one_large(left, right)
    return Homogeneity(min(1.0, 2 * min(chi_square(baseline, window).p_value, exact)), cell)


def _one_large(left: Counts, right: Counts) -> tuple[float, int]:
    """The smallest exact p-value times the number of cells, and its cell."""
    before, now = int(left.sum()), int(right.sum())
    both = left + right
    share = now / (before + now)
    spread = np.sqrt(np.maximum(both * share * (1 - share) * (1 - both / (before + now)), 1e-12))
    away = np.abs(right - both * share) / spread
    best, cell = 1.0, int(away.argmax())
    for index in np.flatnonzero((away > NEAR_IN_DEVIATIONS) & (both > 0)).tolist():
        successes, marked = int(right[index]), int(both[index])
        tail = at_least if successes > marked * share else at_most
        p = 2 * tail(successes, now, marked, before + now)
        if p < best:
            best, cell = p, index
    return min(1.0, best * int((both > 0).sum())), cell
