"""How a kind is found: by its name among the entry points of its family, imported when it is asked for.

A family is a group of entry points (https://packaging.python.org/specifications/entry-points/), `capstan.gates` say;
each entry is one kind. Any installed distribution may add one. No pydantic here: the data plane loads engines by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    """A kind is installed and cannot be used: its module fails on import, or two distributions claim its name."""

    def __init__(self, family: str, name: str, reason: str) -> None:
        super().__init__(f"{family}: the kind {name!r} cannot be used: {reason}")
        self.family, self.name, self.reason = family, name, reason


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that a mistyped one is likely to mean; None when none is near."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


class Family(Generic[T]):
    """The kinds of one family. Thread-safe: what is found once never changes within a process."""

    def __init__(self, group: str) -> None:
        self.group = group
        self._loaded: dict[str, T] = {}

    @cached_property
    def _entries(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for entry in entry_points(group=self.group):
            # A distribution that is on the path twice (installed and as a source) names the same object twice.
            if all(entry.value != other.value for other in found.get(entry.name, ())):
                found[entry.name] = (*found.get(entry.name, ()), entry)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all kinds, sorted; also of those that cannot be imported."""
        return tuple(sorted(self._entries))

    @property
    def from_outside(self) -> tuple[str, ...]:
        """The kinds that another distribution than Capstan's own has, sorted."""
        return tuple(
            name for name in self.names if any(not one.value.startswith("capstan_") for one in self._entries[name])
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str) -> T:
        """The implementation of a kind, imported now if it was not yet. UnknownKind, BrokenKind."""
        if name in self._loaded:
            return self._loaded[name]
        entries = self._entries.get(name)
        if entries is None:
            raise UnknownKind(self.group, name, self.names)
        if len(entries) > 1:
            claims = " and ".join(sorted(entry.value for entry in entries))
            raise BrokenKind(self.group, name, f"it is claimed by {claims}; uninstall one of them")
        try:
            self._loaded[name] = entries[0].load()
        except Exception as error:  # somebody else's module: whatever it raises, the others work on
            reason = f"{entries[0].value} fails on import: {type(error).__name__}: {error}"
            raise BrokenKind(self.group, name, reason) from error
        return self._loaded[name]

    def broken(self) -> list[BrokenKind]:
        """The kinds that cannot be used, each with its reason; imports all. For a service to name them at its start."""
        found = []
        for name in self.names:
            try:
                self.get(name)
            except BrokenKind as error:
                found.append(error)
        return found
