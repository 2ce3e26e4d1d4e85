"""What the leased work of ingestion is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class BatchToCheck:
    """A batch, by the id of its row; `attempt` counts its checks."""

    KIND: ClassVar[str] = "check-batch"
    batch: str
    attempt: int

    @property
    def key(self) -> str:
        """Once per attempt."""
        return f"{self.batch}/{self.attempt}"


@dataclass(frozen=True)
class ObjectsToScrub:
    """A scrub, by its id."""

    KIND: ClassVar[str] = "scrub"
    scrub: str

    @property
    def key(self) -> str:
        """One each."""
        return self.scrub
