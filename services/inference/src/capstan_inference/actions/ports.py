"""What the actions need of the outside: the model server and the spool of its log."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from capstan_inference.domain.parts import ServingPart
from capstan_inference.domain.predictions import Logged


@dataclass(frozen=True)
class Placement:
    """A version that should answer under a deployment's name."""

    project: str
    deployment: str
    version: int
    revision: int
    package: str
    part: ServingPart


@dataclass(frozen=True)
class Address:
    """Where clients find a deployment: base address and, on a cluster, (namespace, name, port) of its Service."""

    url: str
    service: tuple[str, str, int] | None = None


@dataclass(frozen=True)
class ReplicaStatus:
    """How many model servers of a deployment can answer, how many should, and what is the matter with the rest."""

    available: int
    wanted: int
    diagnosis: str = ""

    @property
    def shortfall(self) -> str:
        """A sentence on a deployment that lacks servers."""
        sentence = f"{self.available} of {self.wanted} model servers can answer"
        return f"{sentence}: {self.diagnosis}" if self.diagnosis else sentence


@dataclass(frozen=True)
class Flushed:
    """A segment that a model server shipped by itself."""

    segment: str
    rows: int


class ModelServer(Protocol):
    """The data plane: one process that serves all deployments, or servers of their own for each."""

    @property
    def serving(self) -> Mapping[tuple[str, str], Placement]:
        """What it has in memory now, or is about to have, by project and deployment."""
        ...

    @property
    def replica_status(self) -> Mapping[tuple[str, str], ReplicaStatus]:
        """Of each deployment with servers of its own."""
        ...

    @property
    def servers(self) -> Set[str] | None:
        """Names of all servers that exist and report to the control; None while that is not known."""
        ...

    def address(self, project: str, deployment: str) -> Address:
        """Where clients find it."""
        ...

    async def load(self, placement: Placement) -> float:
        """Load, warm and swap; seconds it took. InvalidData where the package cannot be served, NotReady otherwise.

        What served before serves on until then, and also where this fails. One placement of a deployment after the
        other; one that is older than what is there by then changes nothing.
        """
        ...

    async def flush(self, project: str, deployment: str) -> list[Flushed]:
        """Seal the open log segments of a deployment; those that the servers shipped by themselves. NotReady."""
        ...


class OwnModelServer(ModelServer, Protocol):
    """One that lives and ends with this service: what the family `capstan.model_servers` gives."""

    async def run(self) -> None:
        """Keep the servers as they should be, until cancelled."""
        ...

    async def missing(self) -> str | None:
        """What keeps the service from being ready; None for nothing."""
        ...

    async def close(self) -> None:
        """This process stops."""
        ...


@dataclass(frozen=True)
class SealedSegment:
    """A closed segment in the spool."""

    project: str
    deployment: str
    path: Path


@dataclass(frozen=True)
class SegmentSummary:
    """What a segment holds; Unix milliseconds of its prediction ids, event times of its rows."""

    records: int
    rows: int
    first_ms: int
    last_ms: int
    first_event_time: datetime
    last_event_time: datetime
    closed_at: datetime


class Spool(Protocol):
    """The folder in which the model server leaves its log."""

    async def sealed(self) -> list[SealedSegment]:
        """Closed segments, oldest first."""
        ...

    async def summary(self, segment: SealedSegment) -> SegmentSummary | None:
        """What is in it; None where it is damaged."""
        ...

    async def drop(self, segment: SealedSegment) -> None:
        """Remove it: it is in the object store."""
        ...

    async def set_aside(self, segment: SealedSegment) -> None:
        """Keep a damaged one where nobody ships it."""
        ...

    async def find(self, project: str, prediction: str) -> Logged | None:
        """Look for a prediction in the project's open and closed segments."""
        ...

    async def salvage(self, path: Path, prediction: str, segment: str) -> tuple[Logged | None, str]:
        """The same in a damaged file: the prediction if it is whole, and a sentence on what is."""
        ...

    async def find_in(self, path: Path, prediction: str, segment: str) -> Logged | None:
        """Look for a prediction in one file."""
        ...
