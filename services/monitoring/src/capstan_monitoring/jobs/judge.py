"""Merge the partial sketches of a window and measure each column against the baseline of its package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import Baseline, SketchError
from capstan_monitoring.jobs.baselines import baseline_of
from capstan_monitoring.jobs.measure import measure
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> dict[str, Any]:
    """Input: package (path), partials (path of JSON lines, a baseline each), drift (the loop's DriftSpec).

    Output: statistics [{column, role, statistic, unit, effect, floor, p_value}], and columns that could not be judged:
    those that the log does not hold, and those whose values the statistic cannot compare.
    """
    baseline, drift = baseline_of(job.input["package"]), DriftSpec.model_validate(job.input["drift"])
    window = baseline.empty_window()
    try:
        with Path(job.input["partials"]).open(encoding="utf-8") as lines:
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
        statistics += [{"column": name, "role": column.role.value, **one} for one in measured]
    return {"statistics": statistics, "absent": absent}


def broken_kinds(job: Job) -> dict[str, Any]:
    """A sentence for each installed statistic that cannot be imported."""
    return {"broken": [str(error) for error in STATISTICS.broken()]}
