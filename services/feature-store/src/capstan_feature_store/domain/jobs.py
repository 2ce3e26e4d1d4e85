"""What the jobs of the feature store are given and what they make. Times are epoch microseconds, files are paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Plan = dict[str, Any]
"""A view or a feature service as `domain.plans` writes it and the jobs read it."""


@dataclass(frozen=True)
class ViewsToCheck:
    """`datasets` are the files by dataset; those without a version yet are not in it."""

    views: list[Plan]
    datasets: dict[str, list[str]]


@dataclass(frozen=True)
class CheckedViews:
    """Names of the views whose result was checked, not their form alone."""

    checked: list[str]


@dataclass(frozen=True)
class ViewToWrite:
    """A view's rows are written into `folder`; `sequence` is that of the dataset version.

    Of each entity `older_rows` are kept beside the one that answers at `now_us` and those that are ahead of it.
    """

    view: Plan
    files: list[str]
    sequence: int
    folder: str
    memory_mb: int
    threads: int
    now_us: int
    older_rows: int


@dataclass(frozen=True)
class WrittenView:
    """Entities that the store holds, rows of the source that could not be used, and clocks.

    `newer` is why nothing was written: a later version of the dataset is online.
    """

    rows: int
    unusable: int
    watermark: int | None
    event_min: int | None
    event_max: int | None
    newer: str = ""


@dataclass(frozen=True)
class SetToJoin:
    """`files` are (path in the dataset, batch) of the label dataset's files, in their order."""

    datasets: dict[str, list[str]]
    dataset: str
    files: list[list[str]]
    label: str
    service: Plan
    views: list[Plan]
    as_known: bool
    memory_mb: int
    threads: int


@dataclass(frozen=True)
class JoinedSet:
    """`path` is the file in scratch; `views` has rows, unusable rows and matches of each."""

    rows: int
    unlabelled: int
    path: str
    views: dict[str, dict[str, int]]


@dataclass(frozen=True)
class ValueToExplain:
    """At most `limit` rows are shown."""

    view: Plan
    files: list[str]
    keys: dict[str, Any]
    event_us: int
    limit: int


@dataclass(frozen=True)
class ExplainedValue:
    """`rows` are [index of the file, row, values by column]; `left_out` are keys that could not be compared."""

    total: int
    rows: list[list[Any]]
    event_us: int | None
    left_out: list[str]
