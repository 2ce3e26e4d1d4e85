"""Ports of outside systems: where pipelines run, where data comes from, where people look at runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from capstan_contracts.rest.feature_store import TrainingSet, TrainingSetRequest
from capstan_training.domain.jobs import Arguments


class Output(Protocol):
    """Takes what a run tells while it goes on."""

    async def begins(self, at: str = "") -> None:
        """The pipeline starts from its beginning: what an earlier try said does not count any more."""
        ...

    async def waits(self, reason: str) -> None:
        """It cannot go on yet, and why."""
        ...

    async def line(self, text: str, at: str = "") -> None:
        """A plain line that the run has written; `at` is its position where it was read, for `resume`."""
        ...

    async def resume(self) -> tuple[str, int]:
        """The last position that is known for sure ("" for none), and how many lines were taken after it."""
        ...


@dataclass(frozen=True)
class PipelineOrder:
    """A pipeline to be run.

    `ir` (KFP's IR YAML) and `training_set` (Parquet) are objects of the project. The executor brings them to where the
    pipeline runs and passes the place of the second as the argument `training_set` when `wants_training_set`. `folder`
    is the caller's, for files on the way.
    """

    project: str
    loop: str
    run: str
    ir: str
    arguments: Arguments
    training_set: str
    wants_training_set: bool
    label: str
    folder: Path
    cpu: float
    memory_mb: int
    gpu: int
    timeout_s: float

    @property
    def threads(self) -> int:
        """How many threads numeric libraries use: part of what makes the same pins give the same bytes."""
        return max(1, int(self.cpu))


@dataclass(frozen=True)
class PipelineResult:
    """What a pipeline made: a checked package and its holdout, both in the object store, and metrics (finite)."""

    package: str
    holdout: str
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
        exception means that the place was lost. A cancelled caller lets go: an executor whose place ends with this
        process kills every process of the run; one whose place lives on leaves it, and finds it when it is called again
        with the same order.
        """
        ...

    async def end(self, run: str) -> None:
        """The run is over: whatever of it still goes on ends. Safe to repeat, and for a run that nobody knows."""
        ...

    async def close(self) -> None:
        """This process stops: let go as a cancelled caller does."""
        ...


class Handover(Protocol):
    """What a run that goes on elsewhere is let in with, and what it leaves at the end."""

    async def new_token(self, run: str) -> str:
        """A fresh token for the run's own inputs and outputs; older ones stay good. It ends with the run."""
        ...

    async def outcome(self, run: str) -> PipelineResult | None:
        """What was handed in; None for nothing yet. Raises what the executor would have raised."""
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
    parameters: Arguments
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

    def mark(self, run: str, at: str) -> None:
        """Remember that the log holds everything up to the position `at` of what is read."""
        ...

    async def resume(self, run: str) -> tuple[str, int]:
        """The last position remembered ("" for none), and how many lines of others than the platform came after it."""
        ...

    async def file(self, run: str) -> Path | None:
        """The file that holds the log, if it is on this machine."""
        ...

    async def restore(self, run: str, source: Path) -> None:
        """Put a log back that is not on this machine."""
        ...

    async def read(self, run: str, offset: int) -> tuple[str, int]:
        """Some text from `offset` on, and the offset after it; ("", offset) when there is nothing more yet."""
        ...

    def stream(self, run: str) -> AsyncIterator[str]:
        """All that is there now, in pieces."""
        ...
