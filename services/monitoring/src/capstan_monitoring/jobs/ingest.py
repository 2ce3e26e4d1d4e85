"""From a segment of the prediction log to partial sketches per window and version, and a line per prediction."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from capstan_formats.instants import DAY_US, MAX_US, MIN_US
from capstan_formats.segments import PredictionRecord, PredictionRow, SegmentError, read_segment
from capstan_formats.sketches import Baseline
from capstan_monitoring.domain.instants import instant, micros
from capstan_monitoring.domain.join import key_of
from capstan_monitoring.domain.windows import Grid
from capstan_monitoring.jobs.baselines import ABSENT, RowReader, baseline_of, count, number
from capstan_servicekit.jobs.api import Job, JobRefused

BUFFERED = 4096


@dataclass
class Partial:
    """The rows of one window under one version, so far."""

    package: str
    window: Baseline
    reader: RowReader
    rows: int = 0
    buffer: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: PredictionRow) -> None:
        """Take one row in."""
        for name in self.window:
            value = self.reader.value(row, name)
            if value is not ABSENT:
                self.buffer[name].append(value)
        self.rows += 1
        if self.rows % BUFFERED == 0:
            self.flush()

    def flush(self) -> None:
        """Count what is buffered."""
        for name, values in self.buffer.items():
            count(self.window[name], values)
        self.buffer.clear()


def run(job: Job) -> dict[str, Any]:
    """Input: segment, packages {digest: path}, origin_us, length_us, keys, time_keys.

    Output: rows, rows of unknown packages, newest event time, partial sketches; `scored.jsonl` in the
    scratch folder has [prediction id, window start, version, join key, prediction] per row. Times are microseconds.
    """
    given, segment = job.input, Path(job.input["segment"])
    try:
        grid = Grid(instant(given["origin_us"]), timedelta(microseconds=given["length_us"]))
        return Ingester(given, grid).run(segment, job.scratch / "scored.jsonl")
    except SegmentError as error:
        raise JobRefused(f"the segment is damaged: {error}", errors=[("segment", str(error))]) from error


def _rows(segment: Path) -> Iterator[tuple[PredictionRecord, PredictionRow]]:
    """Rows whose event time can be a time at all."""
    for record in read_segment(segment):
        for row in record["rows"]:
            if MIN_US <= row["event_time"] < MAX_US:
                yield record, row


class Ingester:
    """One pass over a segment."""

    def __init__(self, given: dict[str, Any], grid: Grid) -> None:
        self._given, self._grid = given, grid
        self._partials: dict[tuple[int, int], Partial] = {}
        self._newest: int | None = None
        self._unknown = 0

    def run(self, segment: Path, target: Path) -> dict[str, Any]:
        """Read the segment, write a line per known prediction."""
        rows = 0
        with target.open("w", encoding="utf-8") as lines:
            for record, row in _rows(segment):
                rows += 1
                if (line := self._take(record, row)) is None:
                    self._unknown += 1
                else:
                    lines.write(json.dumps(line) + "\n")
        for partial in self._partials.values():
            partial.flush()
        return {
            "rows": rows,
            "unknown": self._unknown,
            "newest_us": self._newest,
            "partials": [
                {"window_us": start, "version": version, "package": partial.package, "rows": partial.rows,
                 "sketches": partial.window.to_json()}
                for (start, version), partial in sorted(self._partials.items())
            ],
        }  # fmt: skip

    def _take(self, record: PredictionRecord, row: PredictionRow) -> list[Any] | None:
        """The line of a row; None when its package is not known or it is no prediction."""
        logged: dict[str, Any] = {**record, **row}  # whatever the types promise: a log line may come from anywhere
        version, package = logged.get("version"), str(logged.get("package"))
        prediction, identity = logged.get("prediction"), logged.get("prediction_id")
        if type(version) is not int or not 0 < version < 2**31 or package not in self._given["packages"]:
            return None
        score = number(prediction)
        if score is None or not math.isfinite(score) or not isinstance(identity, str) or len(identity) > 36:
            return None
        start = micros(self._grid.start_of(instant(row["event_time"])))
        assert start is not None
        partial = self._partial(start, version, package)
        if partial is None:
            return None
        partial.add(row)
        # A clock that runs ahead must not close windows for everybody else.
        if row["event_time"] <= record.get("ts", 0) + DAY_US:
            self._newest = max(self._newest or row["event_time"], row["event_time"])
        key = key_of(row.get("inputs") or {}, self._given["keys"], self._given["time_keys"])
        return [identity, start, version, key, score]

    def _partial(self, start: int, version: int, package: str) -> Partial | None:
        """None when the version's rows in this window come from another package: one of the two is not this version."""
        partial = self._partials.get((start, version))
        if partial is None:
            baseline = baseline_of(self._given["packages"][package])
            partial = Partial(package, baseline.empty_window(), RowReader(baseline))
            self._partials[(start, version)] = partial
        return partial if partial.package == package else None
