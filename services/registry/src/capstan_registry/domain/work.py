"""What the leased work of the registry is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class RunToRegister:
    """A run that made a package, as training told of it. `promote`: ask for its promotion, too."""

    KIND: ClassVar[str] = "register"
    run: str
    loop: str
    package: str
    holdout: str | None
    dataset: str
    dataset_version: str
    code: str
    metrics: dict[str, float]
    promote: bool
    training_set: str | None = None

    @property
    def key(self) -> str:
        """Once per run."""
        return self.run


@dataclass(frozen=True)
class PromotionToDecide:
    """A request for promotion; `answered`: a person has approved or rejected it, and the gates judge again.

    Meanwhile there may be another champion, and the loop other gates.
    """

    KIND: ClassVar[str] = "decide"
    promotion: str
    answered: bool = False

    @property
    def key(self) -> str:
        """Once per request, and once more when it is answered."""
        return self.promotion + (".answered" if self.answered else "")


@dataclass(frozen=True)
class AliasToProject:
    """A model whose alias is to follow the ledger up to a sequence number. `occasion`: why once more."""

    KIND: ClassVar[str] = "project-alias"
    model: str
    ledger_sequence: int
    occasion: str = ""

    @property
    def key(self) -> str:
        """Once per ledger entry and occasion."""
        return f"{self.model}#{self.ledger_sequence}" + (f"@{self.occasion}" if self.occasion else "")


@dataclass(frozen=True)
class LoopToDistribute:
    """A loop that not every service has taken; `distribution` counts how often it was enqueued."""

    KIND: ClassVar[str] = "converge"
    loop: str
    generation: int
    distribution: int

    @property
    def key(self) -> str:
        """Once per generation and count."""
        return f"{self.loop}@{self.generation}#{self.distribution}"


@dataclass(frozen=True)
class RunToWarmFor:
    """A run that has started and will need MLflow."""

    KIND: ClassVar[str] = "warm"
    run: str

    @property
    def key(self) -> str:
        """Once per run."""
        return self.run
