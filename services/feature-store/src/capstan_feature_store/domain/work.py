"""What the leased work of the feature store is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class ViewToMaterialize:
    """An attempt to bring a view's online store to a dataset version; `id` is that of its materialization."""

    KIND: ClassVar[str] = "materialize"
    id: str
    view_version: str
    dataset_version: str
    attempt: int

    @property
    def key(self) -> str:
        """The same for an event that comes twice."""
        return f"{self.view_version}:{self.dataset_version}:{self.attempt}"


@dataclass(frozen=True)
class SetToBuild:
    """A pinned training set; one that has failed and is asked for again is another attempt."""

    KIND: ClassVar[str] = "training-set"
    id: str
    attempt: int

    @property
    def key(self) -> str:
        """Once per attempt."""
        return f"{self.id}:{self.attempt}"
