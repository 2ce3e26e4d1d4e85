"""Merge the partial sketches of a window and measure each column against the baseline of its package."""

from __future__ import annotations

import json
from pathlib import Path

from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_contracts.loop import DriftSpec
from capstan_evaluation.kinds import METRICS
from capstan_formats.sketches import Baseline, SketchError
from capstan_monitoring.domain.jobs import BrokenKinds, DriftToMeasure, MeasuredColumn, MeasuredDrift
from capstan_monitoring.jobs.baselines import baseline_of
from capstan_monitoring.jobs.measure import measure
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> MeasuredDrift:
    """JobRefused where package or sketches cannot be read, or a statistic is not installed."""
    given = job.read(DriftToMeasure)
    baseline, drift = baseline_of(given.package), DriftSpec.model_validate(given.drift)
    window = baseline.empty_window()
    try:
        with Path(given.partials).open(encoding="utf-8") as lines:
            for line in lines:
                window = window.merge(Baseline.from_json(json.loads(line)))
    except SketchError as error:
        raise JobRefused(f"the sketches do not fit the package: {error}", errors=[("partials", str(error))]) from error
    statistics, absent = [], []
    for name, column in baseline.columns.items():
        try:
            measured = measure(column.sketch, window[name], drift)
        except (UnknownKind, BrokenKind) as error:
            raise JobRefused(str(error), errors=[("monitoring.drift.statistic", str(error))]) from error
        if not measured:
            absent.append(name)
        statistics += [MeasuredColumn(column=name, role=column.role.value, **figure) for figure in measured]
    return MeasuredDrift(statistics, absent)


def broken_kinds(job: Job) -> BrokenKinds:
    """Of the statistics and metrics that are installed. Here, since importing them all costs memory."""
    return BrokenKinds([str(error) for error in (*STATISTICS.broken(), *METRICS.broken())])
