"""What jobs of monitoring are given and what they make. Times are epoch microseconds, files are paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

Document = dict[str, object]
"""A model of the contracts, or a sketch of the formats, as JSON: the other end parses it by what is named beside it."""


@dataclass(frozen=True)
class PackageToRead:
    """The file of a package, whose header says what its model answers."""

    package: str


@dataclass(frozen=True)
class LabelsToRead:
    """Columns of one Parquet file. `labels.jsonl` in scratch gets [join key, number | null] per row.

    `task` and `classes` are those of a LabelRule.
    """

    file: str
    keys: list[str]
    time_keys: list[str]
    label: str
    task: str | None
    classes: int | None


@dataclass(frozen=True)
class QualityToMeasure:
    """Live quality of one window. `task`, `classes`: of its package, as in a LabelRule.

    `file` has float64, per row the label and then what the model said: one number, or a probability per class.
    `metric`: None for the usual one of the task. `first_look`: labels that it takes before anything is told.
    """

    file: str
    task: str
    classes: int | None
    metric: str | None
    first_look: int | None = None


@dataclass(frozen=True)
class MeasuredQuality:
    """Figures in the metric's unit; null where they are undefined for these rows.

    `low` to `high` is the interval of one look at 95 %, `anytime_low` to `anytime_high` that of all looks together.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    anytime_low: float | None = None
    anytime_high: float | None = None


@dataclass(frozen=True)
class ReadLabels:
    """Rows with a label, rows that will never have one, and rows whose key is null: those cannot be joined."""

    labels: int
    unlabelled: int
    keyless: int


@dataclass(frozen=True)
class ReportToRender:
    """A window (from `start_us`, before `end_us`) of one version against its training set, `rows` of each at most."""

    package: str
    training_set: str
    segments: list[str]
    start_us: int
    end_us: int
    version: int
    rows: int
    drift: Document
    """The DriftSpec as JSON."""


@dataclass(frozen=True)
class RenderedReport:
    """`report.html` lies in scratch. `left_out` has the columns that it cannot draw: it shows them with the reason.

    `shown_as_psi`: statistics of the loop that Evidently does not have, for which the page shows PSI.
    """

    shown: list[str]
    left_out: dict[str, str]
    shown_as_psi: list[str]


@dataclass(frozen=True)
class SegmentToRead:
    """A file of the prediction log, the files of the loop's packages by digest, and the grid of its windows."""

    segment: str
    packages: dict[str, str]
    origin_us: int
    length_us: int
    keys: list[str]
    time_keys: list[str]


class PartialSketches(TypedDict):
    """The rows of a segment that lie in one window and were answered by one version."""

    window_us: int
    version: int
    package: str
    rows: int
    sketches: Document
    """A Baseline."""


@dataclass(frozen=True)
class ReadSegment:
    """Rows, those that are in no window among them, and the newest event time that closes windows.

    `waiting` counts the predictions of packages that are not known, by package: they are among the unknown, too.

    `scored.jsonl` in scratch gets [prediction id, window start, version, join key, value, outputs] per row: the
    monitored output's value where it is a number, and all outputs where they are more than that number.
    """

    rows: int
    unknown: int
    newest_us: int | None
    partials: list[PartialSketches]
    waiting: dict[str, int]


@dataclass(frozen=True)
class DriftToMeasure:
    """The package whose baseline a window is compared with, and a file of JSON lines: a Baseline per segment."""

    package: str
    partials: str
    drift: Document
    """The DriftSpec."""


class MeasuredStatistic(TypedDict):
    """What a statistic says of a window, under the name that it gives itself.

    `effect` and `floor` are in `unit`; `p_value` is that of the statistic's test.
    """

    statistic: str
    unit: str
    effect: float
    floor: float
    p_value: float


class MeasuredColumn(MeasuredStatistic):
    """What was measured of one column; it may have several figures."""

    column: str
    role: Literal["feature", "prediction", "label"]


@dataclass(frozen=True)
class MeasuredDrift:
    """Figures, and columns that could not be judged.

    `absent`: the log does not hold them, or the statistic cannot compare their values. `shared`: looked up from so few
    rows of their view that the window is worth no more rows than these, under `least`.
    """

    statistics: list[MeasuredColumn]
    absent: list[str]
    shared: dict[str, int]
    least: int
