"""What is measured of one column: the statistic of its sort, and what it is watched for besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from capstan_contracts.kinds.statistics import StatisticSpec
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import SketchError, thinned
from capstan_monitoring.domain.jobs import MeasuredStatistic
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_monitoring.statistics.port import AnySketch
from capstan_monitoring.statistics.sorts import sort_of


@dataclass(frozen=True)
class Pair:
    """A column of the baseline and of the window."""

    baseline: AnySketch
    window: AnySketch
    design_effect: float

    @cached_property
    def worth(self) -> tuple[AnySketch, AnySketch]:
        """The same of as many rows as these are worth."""
        return thinned(self.baseline, self.design_effect), thinned(self.window, self.design_effect)


def measure(
    baseline: AnySketch, window: AnySketch, drift: DriftSpec, *, design_effect: float = 1.0
) -> list[MeasuredStatistic]:
    """Name, unit, value, floor and p-value, as each statistic gives them; none where there is nothing to compare.

    What a column is watched for besides is left out where it has nothing to say: no nulls, no new word.
    `design_effect`: how many rows count as one in the test, because they share a looked-up value; the baseline's are
    taken to share as the window's do. The effect is that of all rows.

    UnknownKind and BrokenKind for a statistic that cannot be had.
    """
    if not baseline.total or not window.total:
        return []
    sort = sort_of(baseline)
    chosen = drift.statistic.of(sort)
    pair = Pair(baseline, window, design_effect)
    figures = list(_of(chosen, drift.floor_of(sort), pair))
    for spec in drift.also:
        if sort in spec.takes and spec.kind != chosen.kind:
            besides = _of(spec, spec.floor, pair)
            figures += [figure for figure in besides if figure["effect"] > 0 or figure["p_value"] < 1]
    return figures


def _of(spec: StatisticSpec, floor: float | None, pair: Pair) -> Iterator[MeasuredStatistic]:
    kind = STATISTICS.get(spec.kind)
    try:
        measured = kind.measure(pair.baseline, pair.window, spec)
        p_value = measured.p_value if pair.design_effect <= 1 else kind.measure(*pair.worth, spec).p_value
    except SketchError:
        return
    yield {
        "statistic": spec.kind,
        "unit": kind.unit,
        "effect": measured.effect,
        "floor": kind.floor if floor is None else floor,
        "p_value": p_value,
    }
