"""Jensen-Shannon distance."""

from __future__ import annotations

import math

from capstan_contracts.kinds.statistics import JensenShannonSpec
from capstan_formats.sketches import homogeneity, jensen_shannon
from capstan_monitoring.statistics.port import AnySketch, Measured


class JensenShannon:
    """Root of the Jensen-Shannon divergence in bits: 0 the same, 1 disjoint (Lin 1991; Endres and Schindelin 2003).

    Bounded, so one cell that was empty before cannot carry it away as it can PSI. For small shifts its square is
    PSI / (8 ln 2), so the floor of 0.19 is the shift that PSI calls 0.2. The p-value is that of
    `homogeneity` on the same cells.
    """

    spec = JensenShannonSpec
    unit = "of 1"
    floor = 0.19

    def measure(self, baseline: AnySketch, window: AnySketch, spec: JensenShannonSpec) -> Measured:
        """Both sorts of sketches; nulls are a cell."""
        return Measured(jensen_shannon(baseline, window), homogeneity(baseline, window).p_value)

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently's is the same distance in nats."""
        return "jensenshannon", floor * math.sqrt(math.log(2))


JENSEN_SHANNON = JensenShannon()
