"""The part of a loop that concerns serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from capstan_contracts.first_champion import WAITS
from capstan_contracts.loop import ResolvedLoop


@dataclass(frozen=True)
class ServingPart:
    """What a deployment takes from its loop."""

    event_time_column: str
    entity_columns: tuple[str, ...]
    log_features: bool

    @classmethod
    def of(cls, resolved: ResolvedLoop) -> Self:
        """Labels are joined by the dataset's keys, so those are what the log names an entity by."""
        spec = resolved.loop.spec
        return cls(
            event_time_column=resolved.definitions.service.label_time,
            entity_columns=tuple(spec.dataset.keys),
            log_features=spec.serving.log_features,
        )

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "event_time_column": self.event_time_column,
            "entity_columns": list(self.entity_columns),
            "log_features": self.log_features,
        }

    @classmethod
    def from_json(cls, source: dict[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(source["event_time_column"], tuple(source["entity_columns"]), source["log_features"])

    def changes_from(self, before: Self | None, deployment: str) -> list[str]:
        """One sentence per change; none where nothing changes."""
        if before is None:
            return [f"deployment {deployment} is made and {WAITS}"]
        old, new = before.to_json(), self.to_json()
        return [
            f"deployment {deployment}: {name.replace('_', ' ')} changes from {old[name]} to {new[name]}"
            for name in new
            if old[name] != new[name]
        ]


def follows(sequence: int, current: int | None) -> bool:
    """Whether a promotion is newer than the one that serves: older ledger entries never replace newer ones."""
    return current is None or sequence > current
