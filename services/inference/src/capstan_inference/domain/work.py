"""What the leased work of inference is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class PromotionToRollOut:
    """A champion that is to serve. `occasion`: why once more, when an earlier attempt may have failed for good."""

    KIND: ClassVar[str] = "roll-out"
    model: str
    version: int
    package: str
    ledger_sequence: int
    occasion: str = ""

    @property
    def key(self) -> str:
        """Once per ledger entry and occasion."""
        return f"{self.model}:{self.ledger_sequence}" + (f":{self.occasion}" if self.occasion else "")


@dataclass(frozen=True)
class ModelToReconcile:
    """A model whose champion the registry is to be asked for."""

    KIND: ClassVar[str] = "reconcile"
    model: str
    occasion: str

    @property
    def key(self) -> str:
        """Once per model and occasion."""
        return f"{self.model}:{self.occasion}"
