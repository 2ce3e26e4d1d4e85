"""What jobs of monitoring are given and what they make. Times are epoch microseconds, files are paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LabelsToRead:
    """Columns of one Parquet file. `labels.jsonl` in scratch gets [join key, 0.0 | 1.0 | null] per row."""

    file: str
    keys: list[str]
    time_keys: list[str]
    label: str


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
