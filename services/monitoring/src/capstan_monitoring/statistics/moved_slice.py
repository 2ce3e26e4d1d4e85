"""Share of rows that have gathered in one place of a numeric column."""

from __future__ import annotations

from dataclasses import replace

from capstan_contracts.kinds.statistics import MovedSliceSpec
from capstan_formats.sketches import NumericSketch, SketchError, homogeneity, moved_slice
from capstan_monitoring.statistics.port import AnySketch, Measured


class MovedSlice:
    """The largest gain of a run of neighbouring cells, less what has moved outside it (`capstan_formats.sketches`).

    Statistics of whole distributions hardly see a part of the rows: a tenth that moves by two standard deviations is a
    PSI of 0.04 to 0.05, as is a shift of all rows by 0.23 that nobody wants to hear of. Here the first has 0.06 and the
    second 0.02, so the floor is 0.05: half of a tenth of the rows. All rows reach it where they move by 0.4, about
    where the other statistics have their floors. Nulls are left out; `missing` watches them. The p-value is that of
    `homogeneity` on the values alone.
    """

    spec = MovedSliceSpec
    unit = "share"
    floor = 0.05

    def measure(self, baseline: AnySketch, window: AnySketch, spec: MovedSliceSpec) -> Measured:
        """Numeric sketches with values on both sides. SketchError otherwise."""
        if not (isinstance(baseline, NumericSketch) and isinstance(window, NumericSketch)):
            raise SketchError("a slice that moves is one of numbers")
        before, now = _values(baseline), _values(window)
        return Measured(moved_slice(before, now), homogeneity(before, now).p_value)

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently has nothing like it among its drift methods."""
        return None


def _values(sketch: NumericSketch) -> NumericSketch:
    return replace(sketch, nulls=0, infinite=0)


MOVED_SLICE = MovedSlice()
