"""What a service fills in: how its part is cut out of a loop, checked, compared and kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from capstan_contracts.loop import ResolvedLoop
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.loops.rules import Rule

P = TypeVar("P")
R = TypeVar("R")


class PartStore(ABC, Generic[P, R]):
    """One service's side of `PUT /loops/{loop}`. `P` is its part, `R` what `prepare` makes of it (None: nothing)."""

    service: ClassVar[str]
    stations: ClassVar[tuple[str, ...]]
    """Prefixes of the places in a loop that this service answers for, `spec.training` say."""

    @abstractmethod
    def part_of(self, resolved: ResolvedLoop) -> P:
        """Cut the part out of the whole."""

    def rules(self, part: P, resolved: ResolvedLoop) -> Iterable[Rule]:
        """Broken rules that the schema lets pass; reads nothing. May raise InvalidSpec itself to give a hint."""
        return ()

    @abstractmethod
    async def prepare(self, project: str, part: P) -> R:
        """Checks and preparations that need other parts or time, outside any transaction. CapstanError refuses."""

    @abstractmethod
    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation that is stored; None for a loop that was never applied here."""

    @abstractmethod
    async def changes(self, session: ReadSession, project: str, loop: str, part: P) -> list[str]:
        """One sentence per thing that storing would change; empty when nothing would. Conflict where it cannot be."""

    @abstractmethod
    async def store(
        self, session: WriteSession, project: str, loop: str, generation: int, part: P, prepared: R
    ) -> None:
        """Keep the part under this generation, with everything that follows from a change."""

    @abstractmethod
    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The content is the same under a newer generation: note that and no more."""
