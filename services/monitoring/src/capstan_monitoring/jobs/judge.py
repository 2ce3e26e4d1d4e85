"""Merge the partial sketches of a window and measure each column against the baseline of its package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from capstan_formats.sketches import Baseline, SketchError, chi_square, psi
from capstan_monitoring.jobs.baselines import baseline_of
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> dict[str, Any]:
    """Input: package (path), partials (path of JSON lines, a baseline each).

    Output: statistics [{column, role, effect (PSI), p_value (chi-square)}], and columns that the log does not hold.
    """
    baseline = baseline_of(job.input["package"])
    window = baseline.empty_window()
    try:
        with Path(job.input["partials"]).open(encoding="utf-8") as lines:
            for line in lines:
                window = window.merge(Baseline.from_json(json.loads(line)))
    except SketchError as error:
        raise JobRefused(f"the sketches do not fit the package: {error}", errors=[("partials", str(error))]) from error
    statistics, absent = [], []
    for name, column in baseline.columns.items():
        if not column.sketch.total or not window[name].total:
            absent.append(name)
            continue
        statistics.append({
            "column": name, "role": column.role.value, "effect": psi(column.sketch, window[name]),
            "p_value": chi_square(column.sketch, window[name]).p_value,
        })  # fmt: skip
    return {"statistics": statistics, "absent": absent}
