"""What the actions need of the outside: the model server and the spool of its log."""

from __future__ import annotations

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


class ModelServer(Protocol):
    """The data plane."""

    @property
    def url(self) -> str:
        """Base address for clients."""
        ...

    @property
    def serving(self) -> dict[tuple[str, str], Placement]:
        """What it has in memory now, by project and deployment."""
        ...

    async def load(self, placement: Placement) -> float:
        """Load, warm and swap; seconds it took. InvalidData where the package cannot be served, NotReady otherwise."""
        ...

    async def flush(self, project: str, deployment: str) -> None:
        """Seal the open log segment of a deployment. NotReady."""
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

    async def find_in(self, path: Path, prediction: str, segment: str) -> Logged | None:
        """Look for a prediction in one file."""
        ...
