"""How long single predictions of a package take on this machine, one after the other: the reference load.

There is no traffic and no network in it: it is the least that a caller waits, and comparable between versions that are
measured on one machine. Each prediction does what the data plane does with a row: cells -> preprocessing -> engine.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import numpy as np

from capstan_engines.errors import EngineError
from capstan_engines.family import load
from capstan_formats.preprocess import PreprocessError
from capstan_packages.errors import PackageError
from capstan_packages.models import ModelPackage
from capstan_registry.jobs.scoring import Cells, Holdout, Unusable, cells

ROWS: Final = 256
"""Different rows that are asked in turn, so that no cache of one row flatters the figure."""


@dataclass(frozen=True)
class LatencyRun:
    """Percentiles in milliseconds (numpy's linear interpolation), and what they were taken on."""

    p50_ms: float
    p99_ms: float
    rows: int
    machine: str


def measure_latency(package: ModelPackage, holdout: Holdout, predictions: int, warm_up: int) -> LatencyRun:
    """Time `predictions` after `warm_up` that are not timed. Unusable when a row cannot be answered."""
    rows = list(_rows(package, holdout))
    preprocessor, took = package.header.preprocessor(), np.empty(predictions)
    try:
        with closing(load(package)) as model:
            for number, row in enumerate(islice(cycle(rows), warm_up + predictions)):
                started = time.perf_counter_ns()
                model.predict(preprocessor.transform(row, 1))
                if number >= warm_up:
                    took[number - warm_up] = time.perf_counter_ns() - started
    except (PreprocessError, PackageError, EngineError) as error:
        raise Unusable(f"the candidate cannot answer single rows of the holdout: {error}") from error
    p50, p99 = np.percentile(took / 1e6, (50, 99))
    return LatencyRun(float(p50), float(p99), len(rows), machine())


def _rows(package: ModelPackage, holdout: Holdout) -> Iterator[dict[str, Cells]]:
    inputs = package.header.signature.inputs
    missing = sorted({field.name for field in inputs} - set(holdout.table.column_names))
    if missing:
        raise Unusable(f"the holdout lacks the column {missing[0]!r}, which the candidate reads")
    for number in range(min(ROWS, holdout.rows)):
        row = holdout.table.slice(number, 1)
        yield {field.name: cells(row.column(field.name), field.dtype) for field in inputs}


def machine() -> str:
    """Processor and how many of them: `AMD EPYC 7R13, 2 CPUs`."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} CPUs"
