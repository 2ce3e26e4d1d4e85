"""What jobs of monitoring are given and what they make. Times are epoch microseconds, files are paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    `metric`: None for the usual one of the task.
    """

    file: str
    task: str
    classes: int | None
    metric: str | None


@dataclass(frozen=True)
class MeasuredQuality:
    """Figures in the metric's unit; null where they are undefined for these rows."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


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
    drift: dict[str, Any]
    """The DriftSpec as JSON."""


@dataclass(frozen=True)
class RenderedReport:
    """`report.html` lies in scratch. Columns are left out that are empty or unknown on a side.

    `shown_as_psi`: statistics of the loop that Evidently does not have, for which the page shows PSI.
    """

    shown: list[str]
    left_out: list[str]
    shown_as_psi: list[str]
