"""What the leased work of training is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class ArchiveToCompile:
    """A recipe archive. `attempt` counts how often it was handed in after a failure."""

    KIND: ClassVar[str] = "compile"
    digest: str
    attempt: int

    @property
    def key(self) -> str:
        """Once per attempt."""
        return f"{self.digest}:{self.attempt}"


@dataclass(frozen=True)
class LoopToConsider:
    """A loop that may be due for a run: `dataset` has this version, or, without one, `occasion` says what is new."""

    KIND: ClassVar[str] = "consider"
    loop: str
    dataset: str
    version: str | None
    occasion: str = ""

    @property
    def key(self) -> str:
        """Once per loop and version, or occasion."""
        return f"{self.loop}:{self.occasion}" if self.version is None else f"{self.loop}:{self.dataset}:{self.version}"


@dataclass(frozen=True)
class NamedRun:
    """A run by its id."""

    run: str

    @property
    def key(self) -> str:
        """Once per run."""
        return self.run


@dataclass(frozen=True)
class RunToCarryOut(NamedRun):
    """A run that is queued or under way."""

    KIND: ClassVar[str] = "run"


@dataclass(frozen=True)
class RunToClose(NamedRun):
    """A run that has ended and may have left something behind."""

    KIND: ClassVar[str] = "close-run"


@dataclass(frozen=True)
class RunToLog(NamedRun):
    """A run that has succeeded and is to be seen in the tracking system."""

    KIND: ClassVar[str] = "log-run"
