"""Merge the partial sketches of a window and measure each column against the baseline of its package."""

from __future__ import annotations

import json
from pathlib import Path

from capstan_contracts.kinds.broken import BrokenKinds
from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_contracts.loop import DriftSpec
from capstan_evaluation.kinds import METRICS
from capstan_formats.sketches import Baseline, ClusterSketch, SketchError
from capstan_monitoring.domain.drift import least_of, too_little
from capstan_monitoring.domain.jobs import (
    DriftToMeasure,
    MeasuredColumn,
    MeasuredDrift,
    MeasuredStatistic,
)
from capstan_monitoring.jobs.baselines import watched_of
from capstan_monitoring.jobs.lookups import CLUSTERS
from capstan_monitoring.jobs.measure import measure
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_monitoring.statistics.port import AnySketch
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> MeasuredDrift:
    """JobRefused where package or sketches cannot be read, or a statistic is not installed."""
    given = job.read(DriftToMeasure)
    (baseline, views), drift = watched_of(given.package), DriftSpec.model_validate(given.drift)
    try:
        window, clusters = _merged(baseline, Path(given.partials))
    except SketchError as error:
        raise JobRefused(f"the sketches do not fit the package: {error}", errors=[("partials", str(error))]) from error
    least = least_of(baseline, drift)
    effects = {view: sketch.design_effect for view, sketch in clusters.items()}
    statistics: list[MeasuredColumn] = []
    absent: list[str] = []
    shared: dict[str, int] = {}
    for name, column in baseline.columns.items():
        design_effect = effects.get(views.get(name, ""), 1.0)
        if (worth := too_little(window[name].total, design_effect, least)) is not None:
            shared[name] = worth
            continue
        measured = _measured(column.sketch, window[name], drift, design_effect)
        if not measured:
            absent.append(name)
        statistics += [MeasuredColumn(column=name, role=column.role.value, **figure) for figure in measured]
    return MeasuredDrift(statistics, absent, shared, least)


def _merged(baseline: Baseline, partials: Path) -> tuple[Baseline, dict[str, ClusterSketch]]:
    """The window's sketches, and by view how its rows share looked-up rows. SketchError."""
    window = baseline.empty_window()
    clusters: dict[str, ClusterSketch] = {}
    with partials.open(encoding="utf-8") as lines:
        for line in lines:
            partial = json.loads(line)
            window = window.merge(Baseline.from_json(partial))
            for view, sketch in partial.get(CLUSTERS, {}).items():
                clusters[view] = clusters.get(view, ClusterSketch()).merge(ClusterSketch.from_json(sketch))
    return window, clusters


def _measured(
    baseline: AnySketch, window: AnySketch, drift: DriftSpec, design_effect: float
) -> list[MeasuredStatistic]:
    try:
        return measure(baseline, window, drift, design_effect=design_effect)
    except (UnknownKind, BrokenKind) as error:
        raise JobRefused(str(error), errors=[("monitoring.drift.statistic", str(error))]) from error


def broken_kinds(job: Job) -> BrokenKinds:
    """Of the statistics and metrics that are installed. Here, since importing them all costs memory."""
    return BrokenKinds([str(error) for error in (*STATISTICS.broken(), *METRICS.broken())])
