"""What jobs of monitoring are given and what they make. Times are epoch microseconds, files are paths."""

from __future__ import annotations

from dataclasses import dataclass


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
