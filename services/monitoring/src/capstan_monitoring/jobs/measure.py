"""What is measured of one column: the statistic of its sort, and what it is watched for besides."""

from __future__ import annotations

from collections.abc import Iterator

from capstan_contracts.kinds.statistics import StatisticSpec
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import SketchError
from capstan_monitoring.domain.jobs import MeasuredStatistic
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_monitoring.statistics.port import AnySketch
from capstan_monitoring.statistics.sorts import sort_of


def measure(baseline: AnySketch, window: AnySketch, drift: DriftSpec) -> list[MeasuredStatistic]:
    """Name, unit, value, floor and p-value, as each statistic gives them; none where there is nothing to compare.

    What a column is watched for besides is left out where it has nothing to say: no nulls, no new word.
    UnknownKind and BrokenKind for a statistic that cannot be had.
    """
    if not baseline.total or not window.total:
        return []
    sort = sort_of(baseline)
    chosen = drift.statistic.of(sort)
    figures = list(_of(chosen, drift.floor_of(sort), baseline, window))
    for spec in drift.also:
        if sort in spec.takes and spec.kind != chosen.kind:
            besides = _of(spec, spec.floor, baseline, window)
            figures += [figure for figure in besides if figure["effect"] > 0 or figure["p_value"] < 1]
    return figures


def _of(
    spec: StatisticSpec, floor: float | None, baseline: AnySketch, window: AnySketch
) -> Iterator[MeasuredStatistic]:
    kind = STATISTICS.get(spec.kind)
    try:
        measured = kind.measure(baseline, window, spec)
    except SketchError:
        return
    yield {
        "statistic": spec.kind,
        "unit": kind.unit,
        "effect": measured.effect,
        "floor": kind.floor if floor is None else floor,
        "p_value": measured.p_value,
    }
