"""How a kind is found: by its name among the entry points of its family, imported when it is asked for.

A family is a group of entry points (https://packaging.python.org/specifications/entry-points/), `capstan.gates` say;
each entry is one kind. Any installed distribution may add one. No pydantic here: the data plane loads engines by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

T = TypeVar("T")


class UnknownKind(Exception):
    """No installed distribution has a kind of this name; the text says which there are and which is nearest."""

    def __init__(self, family: str, name: str, known: tuple[str, ...]) -> None:
        close = nearest(name, known)
        hint = f"did you mean {close!r}? There are" if close else "there are"
        super().__init__(f"{family}: no kind {name!r}; {hint}: {', '.join(known) or 'none'}")
        self.family, self.name, self.known, self.nearest = family, name, known, close


class BrokenKind(Exception):
    """A kind is installed and cannot be used: its module fails on import, or its name is another distribution's.

    `of` names the distribution where the kind of that name that is used is another one.
    """

    def __init__(self, family: str, name: str, reason: str, *, of: str = "") -> None:
        whose = f"{name!r} of {of}" if of else repr(name)
        super().__init__(f"{family}: the kind {whose} cannot be used: {reason}")
        self.family, self.name, self.reason, self.of = family, name, reason, of


def nearest(word: str, vocabulary: tuple[str, ...]) -> str | None:
    """The known word that a mistyped one is likely to mean; None when none is near."""
    close = get_close_matches(word, vocabulary, n=1, cutoff=0.6)
    return close[0] if close else None


def _sound(name: str, kind: object) -> str | None:
    """The check of a family that takes whatever an entry point names."""
    return None


class Family(Generic[T]):
    """The kinds of one family. Thread-safe: what was looked up once never changes within a process.

    A name that Capstan's own distributions have stays theirs, whoever else claims it, so that no installation takes a
    kind away from the loops and records that name it; the other claim is among the `broken`. A name that only others
    claim, two of them, is nobody's. `fault` says why an imported object is no kind of this family; None when it is one.
    """

    def __init__(self, group: str, fault: Callable[[str, object], str | None] = _sound) -> None:
        self.group, self.fault = group, fault
        self._loaded: dict[str, T] = {}

    @cached_property
    def _entries(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        """The claims on each name. Of the same object only one: a distribution may be on the path twice."""
        claims: dict[str, tuple[EntryPoint, ...]] = {}
        for entry in entry_points(group=self.group):
            if all(entry.value != other.value for other in claims.get(entry.name, ())):
                claims[entry.name] = (*claims.get(entry.name, ()), entry)
        return claims

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all kinds, sorted; also of those that cannot be imported."""
        return tuple(sorted(self._entries))

    @property
    def from_outside(self) -> tuple[str, ...]:
        """The names that another distribution than Capstan's own claims, sorted."""
        return tuple(name for name in self.names if not all(map(_is_ours, self._entries[name])))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str) -> T:
        """The implementation of a kind, imported now if it was not yet. UnknownKind, BrokenKind."""
        if name in self._loaded:
            return self._loaded[name]
        if name not in self._entries:
            raise UnknownKind(self.group, name, self.names)
        entry = self._entry(name)
        try:
            kind: T = entry.load()
        except Exception as error:  # somebody else's module: whatever it raises, the others work on
            reason = f"{entry.value} fails on import: {type(error).__name__}: {error}"
            raise BrokenKind(self.group, name, reason) from error
        if (fault := self.fault(name, kind)) is not None:
            raise BrokenKind(self.group, name, f"{entry.value} {fault}")
        self._loaded[name] = kind
        return kind

    def broken(self) -> list[BrokenKind]:
        """The kinds that cannot be used, each with its reason; imports all. For a service to name them at its start."""
        broken = []
        for name in self.names:
            broken += self._displaced(name)
            try:
                self.get(name)
            except BrokenKind as error:
                broken.append(error)
        return broken

    def _entry(self, name: str) -> EntryPoint:
        """The claim that counts: ours, else the only one. BrokenKind where there is none."""
        claims = self._entries[name]
        counting = [entry for entry in claims if _is_ours(entry)] or claims
        if len(counting) > 1:
            claimants = " and ".join(sorted(entry.value for entry in counting))
            raise BrokenKind(self.group, name, f"it is claimed by {claimants}; uninstall one of them")
        return counting[0]

    def _displaced(self, name: str) -> list[BrokenKind]:
        """The claims of others on a name of ours."""
        ours = [entry.value for entry in self._entries[name] if _is_ours(entry)]
        others = [entry for entry in self._entries[name] if ours and not _is_ours(entry)]
        return [
            BrokenKind(self.group, name, f"{ours[0]} has that name; it is to get another", of=_owner(entry))
            for entry in others
        ]


def _is_ours(entry: EntryPoint) -> bool:
    return entry.value.startswith("capstan_")


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
