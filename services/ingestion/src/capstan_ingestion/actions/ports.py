"""What the actions need of the outside: somebody who checks a file, and the DVC store that versions lie in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import ManifestFile, Verdict
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.jobs import PlacedFiles
from capstan_servicekit.objects.port import Condition

Progress = Callable[[int, int, str], Awaitable[None]]


@dataclass(frozen=True)
class Checked:
    """What a check found. `canonical` is there exactly when the verdict is passed."""

    verdict: Verdict
    columns: dict[str, str]
    event_time_min: datetime | None
    event_time_max: datetime | None
    canonical: Path | None
    failing_rows: Path | None
    failing_total: int


@dataclass(frozen=True)
class LeftRows:
    """What is left of another partition's file; no file where no row is."""

    file: Path | None
    rows: int
    event_time_min: datetime | None
    event_time_max: datetime | None


@dataclass(frozen=True)
class RepeatedKeys:
    """`rows` of a file have a key that other partitions have, in each so many.

    Either `failing_rows`, a file with those rows, or `left`: of the other partitions, without these rows.
    """

    rows: int = 0
    by_partition: Mapping[str, int] = field(default_factory=dict)
    failing_rows: Path | None = None
    left: Mapping[str, LeftRows] = field(default_factory=dict)


class Checker(Protocol):
    """Holds a batch, read once, against its dataset's contract, and its keys against those of other partitions."""

    async def check(
        self,
        project: str,
        path: Path,
        form: Form,
        dataset: DatasetSpec,
        *,
        earlier: Mapping[str, str],
        needed: Sequence[str],
        folder: Path,
        progress: Progress,
    ) -> Checked:
        """Check the file; outputs lie in `folder`. May be repeated.

        `earlier` is the schema that it has to keep, `needed` are columns that loops read: no file may lack them.
        """
        ...

    async def widen(
        self, project: str, files: Mapping[str, Path], columns: Mapping[str, str], *, folder: Path
    ) -> Mapping[str, Path]:
        """Canonical files, by partition, again with these types of columns; InvalidData where a value does not fit."""
        ...

    async def compare_keys(
        self, project: str, path: Path, dataset: DatasetSpec, others: Mapping[str, Path], *, folder: Path
    ) -> RepeatedKeys:
        """Look for the keys of a canonical file in the canonical files of other partitions. May be repeated."""
        ...


class VersionStore(Protocol):
    """Keeps the files of dataset versions in DVC's layout."""

    async def place(
        self, project: str, *, new: Mapping[str, Path], kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFiles:
        """Put the new files, by their paths in the dataset, beside the kept ones, durably. May be repeated.

        Upstream where a kept one was lost.
        """
        ...

    async def scrub(self, project: str, md5: str) -> Condition:
        """Read all bytes of a file or folder that was placed, by the md5 that DVC gave it."""
        ...
