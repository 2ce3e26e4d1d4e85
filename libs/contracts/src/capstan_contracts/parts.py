"""What a service keeps of a loop: its part, compared and stored as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import ConfigDict

from capstan_contracts.base import Wire


class Part(Wire):
    """Base of the parts: immutable, equal by value, the same JSON in the service's own row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads back."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. pydantic's ValidationError for anything else."""
        return cls.model_validate(source)


def differences(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One sentence per leaf that differs between two JSON objects, in the order of the keys."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    return [
        f"{what}: {key} {before.get(key)!r} becomes {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _leaves(tree: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value
