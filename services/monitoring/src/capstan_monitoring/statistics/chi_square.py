"""Chi-square distance as Cramér's V."""

from __future__ import annotations

import math

import numpy as np

from capstan_contracts.kinds.statistics import ChiSquareSpec
from capstan_formats.sketches import homogeneity
from capstan_monitoring.statistics.port import AnySketch, Measured


class ChiSquareDistance:
    """Cramér's V of the table of two samples by cells, both weighing the same: root of sum (p - q)^2 / (p + q) / 2.

    The chi-square statistic itself grows with the rows, and V of unequal samples shrinks with their inequality; with
    equal weights it is 0 for the same and 1 for disjoint shares, whatever the window's size (Cramér 1946; the sum is
    the triangular discrimination of Vincze and Le Cam). For small shifts V squared is PSI / 4, so the floor of 0.22 is
    the shift that PSI calls 0.2. The p-value is that of `homogeneity` on the real counts.
    """

    spec = ChiSquareSpec
    unit = "V"
    floor = 0.22

    def measure(self, baseline: AnySketch, window: AnySketch, spec: ChiSquareSpec) -> Measured:
        """Both sorts of sketches; nulls are a cell."""
        tested = homogeneity(baseline, window)  # first: it refuses sketches that cannot be compared
        p = baseline.cell_counts() / baseline.total
        q = window.cell_counts() / window.total
        both = p + q
        seen = both > 0
        return Measured(math.sqrt(float((np.square(p - q)[seen] / both[seen]).sum()) / 2), tested.p_value)

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently's chi-square is a p-value, which has another scale."""
        return None


CHI_SQUARE = ChiSquareDistance()
