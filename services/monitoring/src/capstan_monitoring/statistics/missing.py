"""Share of values that are missing."""

from __future__ import annotations

from capstan_contracts.kinds.statistics import MissingSpec
from capstan_formats.sketches import SketchError, at_least, at_most
from capstan_monitoring.statistics.port import AnySketch, Measured


class Missing:
    """By how much the share of nulls has changed, up or down.

    PSI hardly sees it: from 2 % to 7 % is 0.06, a third of its floor, and from 10 % to 15 % is 0.02. A null is a value
    that the model has to do without, or one that somebody has begun to fill in, so the floor is a share of the rows:
    0.03. The p-value is that of Fisher's exact test, two-sided by doubling.
    """

    spec = MissingSpec
    unit = "share"
    floor = 0.03

    def measure(self, baseline: AnySketch, window: AnySketch, spec: MissingSpec) -> Measured:
        """Both sorts of sketches. SketchError where a side saw nothing."""
        before, now = baseline.total, window.total
        if not before or not now:
            raise SketchError("a share needs rows on both sides")
        changed = window.nulls / now - baseline.nulls / before
        tail = at_least if changed > 0 else at_most
        p_value = 2 * tail(window.nulls, now, baseline.nulls + window.nulls, before + now)
        return Measured(abs(changed), min(1.0, p_value))

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently has nothing like it among its drift methods."""
        return None


MISSING = Missing()
