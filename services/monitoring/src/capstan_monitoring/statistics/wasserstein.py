"""First Wasserstein distance of a numeric column."""

from __future__ import annotations

from capstan_contracts.kinds.statistics import WassersteinSpec
from capstan_formats.sketches import NumericSketch, SketchError, homogeneity, wasserstein
from capstan_monitoring.statistics.port import AnySketch, Measured


class Wasserstein:
    """How far values have to be moved on average, in standard deviations of the baseline (Vallender 1974: the area
    between the distribution functions).

    Unlike PSI it knows how far a value has gone, so a small move of everything counts little and a long tail much. A
    normal column whose mean moves by d standard deviations has d, so the floor of 0.45 is the shift that PSI calls 0.2
    (Evidently's default of 0.1 calls a tenth of a deviation drift). A sketch overstates shifts, since it spreads the
    mass of the outer bins evenly: of 0.45 it makes 0.60 with 10 bins, 0.54 with 20, 0.50 with 50 (normal columns).
    Nulls are left out; `missing` watches them. The p-value is that of `homogeneity` on the same cells.
    """

    spec = WassersteinSpec
    unit = "sd"
    floor = 0.45

    def measure(self, baseline: AnySketch, window: AnySketch, spec: WassersteinSpec) -> Measured:
        """Numeric sketches with values on both sides. SketchError otherwise."""
        if not (isinstance(baseline, NumericSketch) and isinstance(window, NumericSketch)):
            raise SketchError("a Wasserstein distance needs numbers")
        return Measured(wasserstein(baseline, window), homogeneity(baseline, window).p_value)

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently's is divided by the same standard deviation."""
        return "wasserstein", floor


WASSERSTEIN = Wasserstein()
