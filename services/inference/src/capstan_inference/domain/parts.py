"""The part of a loop that concerns serving."""

from __future__ import annotations

from typing import Self

from capstan_contracts.first_champion import WAITS
from capstan_contracts.loop import ResolvedLoop
from capstan_contracts.parts import Part, differences


class ServingPart(Part):
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


def changes(deployment: str, old: ServingPart | None, new: ServingPart) -> list[str]:
    """One sentence per difference; empty when nothing changes."""
    if old is None:
        return [f"deployment {deployment} is made and {WAITS}"]
    return differences(f"deployment {deployment}", old.to_json(), new.to_json())


def follows(sequence: int, current: int | None) -> bool:
    """Whether a promotion is newer than the one that serves: older ledger entries never replace newer ones."""
    return current is None or sequence > current
