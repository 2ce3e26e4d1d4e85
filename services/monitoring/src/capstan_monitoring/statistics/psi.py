"""Population stability index."""

from __future__ import annotations

from capstan_contracts.kinds.statistics import PsiSpec
from capstan_formats.sketches import homogeneity, psi
from capstan_monitoring.statistics.port import AnySketch, Measured


class Psi:
    """Sum of (q - p) ln(q / p) over cells: Jeffreys' divergence, in nats (Siddiqi 2006 for its use and bounds).

    The floor of 0.2 is where the field's rule of thumb stops calling a shift small or moderate. A normal column whose
    mean moves by d standard deviations has d squared, so the floor is a move of 0.45. The p-value is that of
    `homogeneity` on the same cells.
    """

    spec = PsiSpec
    unit = "nats"
    floor = 0.2

    def measure(self, baseline: AnySketch, window: AnySketch, spec: PsiSpec) -> Measured:
        """Both sorts of sketches; nulls are a cell."""
        return Measured(psi(baseline, window), homogeneity(baseline, window).p_value)

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently's PSI, on the same scale."""
        return "psi", floor


PSI = Psi()
