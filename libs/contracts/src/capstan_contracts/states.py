"""State machines as tables: which state follows which, and which module of a service may say so. Without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


class IllegalTransition(RuntimeError):
    """An action would move a thing where the table does not allow it: a mistake in our program, not of a caller."""


class Machine(Generic[S]):
    """The states of a thing. `transitions` maps (before, after) to the modules of the service that make it."""

    def __init__(
        self, thing: str, first: S, transitions: Mapping[tuple[S, S], tuple[str, ...]], *, never: Collection[S] = ()
    ) -> None:
        self.thing, self.first, self.transitions = thing, first, transitions
        self.words: type[S] = type(first)
        self.states = tuple(state for state in self.words if state not in never)
        """In the order of the enum, which may have more of them for things of other sorts (`never`)."""

    @property
    def finals(self) -> frozenset[S]:
        """States that nothing leads out of."""
        return frozenset(self.states) - {before for before, after in self.transitions if before is not after}

    def allows(self, before: str, after: S) -> bool:
        """Whether `after` may follow `before`."""
        return (self.words(before), after) in self.transitions

    def into(self, after: S) -> tuple[S, ...]:
        """The states that `after` may follow: for an UPDATE of many rows, and for telling a caller what is needed."""
        return tuple(state for state in self.states if (state, after) in self.transitions)

    def move(self, before: str, after: S) -> S:
        """`after`, if it may follow `before`; IllegalTransition otherwise. `row.state = THING.move(row.state, ...)`."""
        if not self.allows(before, after):
            allowed = ", ".join(self.into(after)) or "nothing"
            raise IllegalTransition(f"a {self.thing} that is {before} cannot become {after}: only {allowed} can")
        return after
