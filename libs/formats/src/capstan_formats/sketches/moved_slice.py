"""How many rows of a window have gathered in one place while the others stayed: what a slice that moves looks like."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from capstan_formats.sketches.distances import same_cells
from capstan_formats.sketches.numeric import NumericSketch
from capstan_formats.sketches.rules import SketchError

Floats = npt.NDArray[np.float64]

#: The largest share of the baseline's values that is one place: two of ten quantile bins, whatever rounding does.
WIDEST: Final = 0.25
#: Of more cells, neighbours are counted together: places of a quarter do not need finer ones, and each adds its noise.
#: Ten values with a narrow bin each, and what lies between and beyond them, are 23 cells.
MOST_CELLS: Final = 24


def moved_slice(baseline: NumericSketch, window: NumericSketch) -> float:
    """The largest gain of a run of neighbouring cells, less the share of rows that have moved outside it; 0 to 1.

    A run holds at most WIDEST of the baseline's values. What has moved outside is half the sum of |q - c p| over the
    other cells, c being what these have kept together; what chance makes of it is taken off each cell. Nulls and
    infinities are left out.

    Where part of the rows moves, whatever they were before, the rest keeps its shape, and the share that arrived is
    left: 0.06 of a slice of 0.1 that moves by two deviations, 0.09 of one that moves by five. A whole normal column
    that moves changes everywhere: by 0.25 deviations 0.02, by 0.45 (a PSI of 0.2) 0.06.

    SketchError for sketches of other cells or without values.
    """
    same_cells(baseline, window)
    if not baseline.n or not window.n:
        raise SketchError("a slice that moves needs values on both sides")
    left, right = _coarse(baseline.counts), _coarse(window.counts)
    p, q = left / baseline.n, right / window.n
    chance = (left + right) / (baseline.n + window.n) * (1 / baseline.n + 1 / window.n)
    inside = _runs(p)
    arrived, held = inside @ q, inside @ p
    kept = (1 - arrived) / (1 - held)
    apart = np.square(q - kept[:, None] * p) - chance
    moved = np.sqrt(np.where(inside, 0.0, np.maximum(apart, 0.0))).sum(axis=1) / 2
    return float((arrived - held - moved).max(initial=0.0))


def _coarse(counts: npt.NDArray[np.int64]) -> Floats:
    """At most MOST_CELLS cells, neighbours counted together."""
    cells = min(len(counts), MOST_CELLS)
    starts = np.linspace(0, len(counts), cells, endpoint=False).astype(np.int64)
    return np.add.reduceat(counts, starts).astype(np.float64)


def _runs(p: Floats) -> npt.NDArray[np.bool_]:
    """A row for each run of neighbouring cells that holds at most WIDEST of the baseline: which cells are in it."""
    edges = np.concatenate([[0.0], np.cumsum(p)])
    start, stop = np.triu_indices(len(edges), 1)
    narrow = edges[stop] - edges[start] <= WIDEST
    cells = np.arange(len(p))
    return np.asarray((cells >= start[narrow, None]) & (cells < stop[narrow, None]))
