"""Ports of outside systems: where pipelines run, where data comes from, where people look at runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from capstan_contracts.rest.feature_store import TrainingSet, TrainingSetRequest

Output = Callable[[str], Awaitable[None]]
"""Takes a plain line that a run has written."""


@dataclass(frozen=True)
class PipelineOrder:
    """A pipeline to be run.

    `ir` is a file with KFP's IR YAML; `training_set` a Parquet file that the executor brings to where the pipeline
    runs and passes as the argument `training_set` when `wants_training_set`. `folder` is the caller's: results are left
    below it.
    """

    run: str
    ir: Path
    arguments: Mapping[str, Any]
    training_set: Path
    wants_training_set: bool
    label: str
    folder: Path
    cpu: float
    memory_mb: int
    timeout_s: float


@dataclass(frozen=True)
class PipelineResult:
    """What a pipeline made: a checked package file with its digest, the holdout file, and metrics (finite numbers)."""

    package: Path
    package_digest: str
    holdout: Path
    metrics: Mapping[str, float] = field(default_factory=dict)


class PipelineFailed(Exception):
    """A step failed or the pipeline could not start; trying again would give the same."""


class PipelineTimedOut(PipelineFailed):
    """It ran past its limit."""


class PipelineOutOfMemory(PipelineFailed):
    """It held more memory than it may."""


class Executor(Protocol):
    """Where pipelines run. Another place is another adapter: the same IR, arguments, output lines and results."""

    async def run(self, order: PipelineOrder, output: Output) -> PipelineResult:
        """Run to the end, handing each line of output over as it comes.

        PipelineFailed and its kinds are final; InvalidData when the package or the holdout breaks a rule; any other
        exception means that the place was lost. When the caller is cancelled, every process of the run is killed.
        """
        ...

    async def close(self) -> None:
        """Kill what runs."""
        ...


class Datasets(Protocol):
    """Ingestion: which versions of a dataset there are."""

    async def newest(self, project: str, dataset: str) -> str | None:
        """The newest version; None when there is none yet. NotFound for an unknown dataset."""
        ...

    async def resolve(self, project: str, dataset: str, version: str) -> str:
        """The full digest of a version given by 12 or more characters. NotFound."""
        ...

    async def partitions(self, project: str, dataset: str, version: str) -> int:
        """How many partitions a version has."""
        ...


class TrainingSets(Protocol):
    """The feature store: point-in-time joins."""

    async def ask(self, project: str, request: TrainingSetRequest, *, key: str) -> TrainingSet:
        """Ask for a training set; the same key gives the same one."""
        ...

    async def look(self, project: str, id_: str) -> TrainingSet:
        """How far it is."""
        ...


@dataclass(frozen=True)
class RunRecord:
    """A finished run, as the tracking system is told."""

    project: str
    run: str
    loop: str
    package: str
    dataset: str
    dataset_version: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    started_at: datetime
    finished_at: datetime


class Tracking(Protocol):
    """MLflow: the store that people look at."""

    async def log_run(self, record: RunRecord) -> str:
        """Log a run once, however often it is called; its id over there."""
        ...


class RunLogs(Protocol):
    """Where the output of runs is kept."""

    def append(self, run: str, line: str) -> None:
        """Add a line, redacted; beyond the cap lines are dropped, and the log says so once."""
        ...

    async def read(self, run: str, offset: int) -> tuple[str, int]:
        """Some text from `offset` on, and the offset after it; ("", offset) when there is nothing more yet."""
        ...

    def stream(self, run: str) -> AsyncIterator[str]:
        """All that is there now, in pieces."""
        ...
