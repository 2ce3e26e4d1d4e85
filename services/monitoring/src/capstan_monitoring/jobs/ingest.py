"""From a segment of the prediction log to partial sketches per window and version, and a line per prediction."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capstan_formats.instants import DAY_US, MAX_US, MIN_US
from capstan_formats.record_columns import Column, Values
from capstan_formats.segments import PredictionRecord, SegmentError, read_segment
from capstan_formats.sketches import Baseline, NumericSketch
from capstan_monitoring.domain.jobs import ReadSegment, SegmentToRead
from capstan_monitoring.domain.join import key_of
from capstan_monitoring.jobs.baselines import MONITORED, ColumnReader, count, number, watched_of
from capstan_monitoring.jobs.lookups import CLUSTERS, ViewClusters
from capstan_servicekit.jobs.api import Job, JobRefused

BUFFERED = 4096
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


@dataclass
class Partial:
    """The rows of one window under one version, so far."""

    package: str
    window: Baseline
    reader: ColumnReader
    clusters: ViewClusters
    rows: int = 0
    waiting: int = 0
    buffer: dict[str, list[Values]] = field(default_factory=lambda: defaultdict(list))

    def add(self, record: PredictionRecord, rows: Ints) -> None:
        """Take these rows of a record in."""
        for name in self.window:
            column = self.reader.column(record, name)
            if column is not None:
                self.buffer[name].append(_cells(column, rows, numeric=isinstance(self.window[name], NumericSketch)))
        self.clusters.add(record, rows)
        self.rows += len(rows)
        self.waiting += len(rows)
        if self.waiting >= BUFFERED:
            self.flush()

    def to_json(self) -> dict[str, object]:
        """The sketches of the columns, and how rows share the rows of each view."""
        return {**self.window.to_json(), CLUSTERS: self.clusters.to_json()}

    def flush(self) -> None:
        """Count what is buffered."""
        for name, pieces in self.buffer.items():
            arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
            whole = len(arrays) == len(pieces)
            count(self.window[name], np.concatenate(arrays) if whole else list(chain.from_iterable(pieces)))
        self.buffer.clear()
        self.waiting = 0


def run(job: Job) -> ReadSegment:
    """JobRefused where the segment is damaged, or one of its packages cannot be read."""
    given = job.read(SegmentToRead)
    try:
        return Ingester(given).run(Path(given.segment), job.scratch / "scored.jsonl")
    except SegmentError as error:
        raise JobRefused(f"the segment is damaged: {error}", errors=[("segment", str(error))]) from error


class Ingester:
    """One pass over a segment."""

    def __init__(self, given: SegmentToRead) -> None:
        self._given = given
        self._partials: dict[tuple[int, int], Partial] = {}
        self._newest: int | None = None
        self._rows = self._unknown = 0
        self._waiting = Counter[str]()

    def run(self, segment: Path, target: Path) -> ReadSegment:
        """Read the segment, write a line per known prediction."""
        with target.open("w", encoding="utf-8") as lines:
            for record in read_segment(segment):
                lines.writelines(json.dumps(line) + "\n" for line in self._take(record))
        for partial in self._partials.values():
            partial.flush()
        return ReadSegment(
            rows=self._rows,
            unknown=self._unknown,
            newest_us=self._newest,
            partials=[
                {"window_us": start, "version": version, "package": partial.package, "rows": partial.rows,
                 "sketches": partial.to_json()}
                for (start, version), partial in sorted(self._partials.items())
            ],
            waiting=dict(self._waiting),
        )  # fmt: skip

    def _take(self, record: PredictionRecord) -> Iterator[list[object]]:
        """The lines of a record; rows count as unknown where their package is, or where they are no prediction."""
        times, version = record.head.event_times, record.schema.version
        sane = (times >= MIN_US) & (times < MAX_US)  # an event time that can be a time at all
        chosen = np.flatnonzero(sane & self._predicted(record))
        if record.schema.package not in self._given.packages:
            self._waiting[record.schema.package] += len(chosen)
            chosen = chosen[:0]
        self._rows += int(sane.sum())
        self._unknown += int(sane.sum()) - len(chosen)
        origin, length = self._given.origin_us, self._given.length_us
        starts = origin + (times[chosen] - origin) // length * length
        for start in np.unique(starts).tolist():
            rows = chosen[starts == start]
            partial = self._partial(start, version, record.schema.package)
            if partial is None:
                self._unknown += len(rows)
                continue
            partial.add(record, rows)
            self._note(times[rows], record.head.answered_at)
            yield from self._lines(record, rows.tolist(), start)

    def _predicted(self, record: PredictionRecord) -> Bools:
        """Which rows hold a prediction of a version."""
        schema, value = record.schema, record.columns.get(("outputs", MONITORED))
        if value is None or not 0 < schema.version < 2**31:
            return np.zeros(record.rows, dtype=np.bool_)
        numbers = value.numbers()
        if numbers is not None:
            return np.isfinite(numbers)
        return np.array([_is_value(cell) for cell in value.tolist()], dtype=np.bool_)

    def _note(self, times: npt.NDArray[np.int64], answered_at: int) -> None:
        """A clock that runs ahead must not close windows for everybody else."""
        known = times[times <= min(answered_at + DAY_US, MAX_US)]
        if len(known):
            newest = int(known.max())
            self._newest = max(self._newest or newest, newest)

    def _lines(self, record: PredictionRecord, rows: list[int], start: int) -> Iterator[list[object]]:
        inputs, ids = record.section("inputs"), record.head.ids.texts()
        keys = {key: inputs[key].tolist() for key in self._given.keys if key in inputs}
        outputs = {name: column.tolist() for name, column in record.section("outputs").items()}
        values = outputs[MONITORED]
        for row in rows:
            named = {key: cells[row] for key, cells in keys.items()}
            value = number(values[row])
            all_of_it = None
            if value is None or len(outputs) > 1:
                all_of_it = {name: _kept(cells[row]) for name, cells in outputs.items()}
            key = key_of(named, self._given.keys, self._given.time_keys)
            yield [ids[row], start, record.schema.version, key, value, all_of_it]

    def _partial(self, start: int, version: int, package: str) -> Partial | None:
        """None when the version's rows in this window come from another package: one of the two is not this version."""
        partial = self._partials.get((start, version))
        if partial is None:
            baseline, views = watched_of(self._given.packages[package])
            clusters = ViewClusters(views.values())
            partial = Partial(package, baseline.empty_window(), ColumnReader(baseline), clusters)
            self._partials[(start, version)] = partial
        return partial if partial.package == package else None


def _cells(column: Column, rows: Ints, *, numeric: bool) -> Values:
    """These rows as float64, NaN where null, for a numeric sketch of numbers; else as plain values."""
    numbers = column.numbers() if numeric else None
    if numbers is not None:
        return numbers if len(rows) == len(numbers) else numbers[rows]
    cells = column.tolist()
    return cells if len(rows) == len(cells) else [cells[row] for row in rows]


def _kept(cell: object) -> object:
    """As a database takes JSON: numbers are finite."""
    if isinstance(cell, list):
        return [_kept(inner) for inner in cell]
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _is_value(cell: object) -> bool:
    """A class by its word or number."""
    value = number(cell)
    return isinstance(cell, str) if value is None else math.isfinite(value)
