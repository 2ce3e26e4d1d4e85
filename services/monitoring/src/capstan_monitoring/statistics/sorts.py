"""Which sort of column a sketch is of."""

from __future__ import annotations

from capstan_contracts.kinds.statistics import Sort
from capstan_formats.sketches import NumericSketch
from capstan_monitoring.statistics.port import AnySketch


def sort_of(sketch: AnySketch) -> Sort:
    """`numeric` or `categorical`."""
    return "numeric" if isinstance(sketch, NumericSketch) else "categorical"
