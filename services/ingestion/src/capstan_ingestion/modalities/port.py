"""The port of the family `capstan.modalities`.

A batch is one file (or one tar of files) for a partition. A modality says what an item in it is; everything after the
check is the same for all: bytes under their digest, one canonical file per partition, one manifest per version, DVC,
events, training sets.

How another modality becomes a folder here, without a change elsewhere: its canonical file is a Parquet **table of its
items**, one row each, with the dataset's keys, event time and metadata columns, and the columns `item` (sha256),
`item_bytes` and `item_media`. `documents` reads a tar of files plus a metadata table (JSON lines: file, keys, times);
`images` the same with width, height and channels read from each header. Both refuse an item whose bytes are not what
its ending says. The contract, drift and point-in-time rules then work on that table as on any other; a training set of
it is the table's rows for the labels, whose `item` the training step reads from the object store by digest. What has to
be added to the port on that day is the list of item files beside `Outcome.canonical`, which the commit stores first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.modalities import GROUP
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult, Verdict
from capstan_ingestion.domain.contract import Document, Expectation
from capstan_ingestion.domain.file_refused import Limits
from capstan_ingestion.domain.files import Form

Rows = np.ndarray[Any, np.dtype[np.int64]]
NO_ROWS: Rows = np.empty(0, dtype=np.int64)
Progress = Callable[[int, int, str], None]
STEPS = 4


@dataclass(frozen=True)
class Finding:
    """The result of one check and the rows (0-based, ascending) that it names."""

    result: CheckResult
    rows: Rows = field(default_factory=lambda: NO_ROWS)


@dataclass(frozen=True)
class Arrived:
    """A batch to be checked. `earlier`: the columns that it has to keep; outputs and unpacked files go to `scratch`.

    `needed`: columns that loops read, so that no file may lack them.
    """

    path: Path
    form: Form
    dataset: DatasetSpec
    earlier: Mapping[str, str]
    limits: Limits
    max_failing_rows: int
    scratch: Path
    needed: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What a check found. `canonical` and `failing_rows` are names of files in `scratch`, None where there is none.

    `columns`: names and types as the manifest keeps them; empty when the file could not be taken.
    """

    verdict: Verdict
    columns: Mapping[str, str] = field(default_factory=dict)
    event_time_min: datetime | None = None
    event_time_max: datetime | None = None
    canonical: str | None = None
    failing_rows: str | None = None
    failing_total: int = 0


class Engine(Protocol):
    """Holds a table against a contract. Loading it may take seconds, so it is asked only when a file can be read."""

    def name(self) -> str:
        """The engine and its version."""
        ...

    def validate(self, table: pa.Table, document: Document, contract: Sequence[Expectation]) -> list[Finding]:
        """One result per expectation, in the contract's order; one that cannot be evaluated is an `error`."""
        ...


class Modality(Protocol):
    """What an item is. Found as `capstan.modalities`, and loaded in job workers only."""

    kind: ClassVar[str]

    def check(self, arrived: Arrived, engine: Engine, progress: Progress) -> Outcome:
        """Read a batch once, hold it against the dataset and its contract, and write the canonical file if it passes.

        A file that cannot be taken is an outcome, not an exception. Deterministic: the same batch under the same
        dataset gives the same bytes. May be killed at any moment and repeated.
        """
        ...


MODALITIES: Family[type[Modality]] = Family(GROUP)
