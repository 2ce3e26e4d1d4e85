"""Seconds and memory of the point-in-time join: 336,776 label rows, a view of 26,304 rows and one of 300,000.

    .venv/bin/python services/feature-store/bench/join.py [repetitions]

The sizes are those of the flights of 2013 with their hourly weather, and a second view that is large. Each repetition
is a process of its own, as a job is one; the smallest CPU time is the steadiest figure on a shared machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from capstan_feature_store.jobs import training_set
from capstan_servicekit.jobs.api import Job

LABELS, HOURLY, LARGE, KEYS = 336_776, 26_304, 300_000, 4_000
YEAR_US, START_US = 365 * 86_400_000_000, 1_356_998_400_000_000
INSTANT = pa.timestamp("us", "UTC")


def write(folder: Path) -> None:
    """labels.parquet, hourly.parquet (3 keys), large.parquet (4,000 keys)."""
    random = np.random.default_rng(5)

    def instants(count: int) -> pa.Array:
        return pa.array(START_US + random.integers(0, YEAR_US, count)).cast(INSTANT)

    labels = {"at": instants(LABELS), "a": random.integers(0, 3, LABELS), "b": random.integers(0, KEYS, LABELS)}
    pq.write_table(pa.table({**labels, "y": random.normal(size=LABELS)}), folder / "labels.parquet")
    for name, rows, keys in (("hourly", HOURLY, 3), ("large", LARGE, KEYS)):
        columns = {"k": random.integers(0, keys, rows), "e": instants(rows)}
        columns |= {f"x{index}": random.normal(size=rows) for index in range(8)}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def join(folder: Path) -> None:
    """One job, in this process; prints wall seconds, CPU seconds, peak megabytes."""
    names = ("labels", "hourly", "large")
    files = {name: [str(folder / f"{name}.parquet")] for name in names}
    columns = [[f"x{index}", "float64"] for index in range(8)]
    views = [
        {"name": name, "version": "0" * 64, "dataset": name, "sql": f"SELECT * FROM {name}", "keys": [["k", "int64"]],
         "columns": columns, "event_time": "e", "created_time": None, "ttl_us": None}
        for name in names[1:]
    ]  # fmt: skip
    service = {"label_time": "at", "request": [["a", "int64"], ["b", "int64"], ["at", "timestamp"]], "derived": []}
    given: dict[str, object] = {
        "datasets": files,
        "dataset": "labels",
        "files": [["labels.parquet", "0" * 64]],
        "label": "y",
    }
    given |= {"service": {**service, "lookups": {"hourly": {"k": "a"}, "large": {"k": "b"}}}, "views": views}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        started = time.perf_counter()
        training_set.run(Job({**given, "as_known": False, "memory_mb": 2048, "threads": 2}, Path(scratch)))
        wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{wall:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.0f}")


def main() -> None:
    """Print the least of the repetitions."""
    if len(sys.argv) == 3:
        join(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name))
        command = [sys.executable, __file__, name, "once"]
        said = [
            subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(int([*sys.argv, "5"][1]))
        ]
    wall, cpu, memory = (min(float(run.stdout.split()[index]) for run in said) for index in range(3))
    print(
        f"{LABELS:,} labels, views of {HOURLY:,} and {LARGE:,} rows: "
        f"{wall:.2f} s, CPU {cpu:.2f} s, peak {memory:.0f} MB"
    )


if __name__ == "__main__":
    main()
