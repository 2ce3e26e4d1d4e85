"""The part of a Loop that monitoring takes: its policy, and how labels are found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from capstan_contracts.loop import LoopPart, MonitoringSpec

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=365)
MOST_WINDOWS = 100


@dataclass(frozen=True)
class MonitorPart:
    """What a monitor needs to know of its loop. `time_keys` are the keys that are points in time."""

    dataset: str
    keys: tuple[str, ...]
    time_keys: tuple[str, ...]
    label: str
    retrain_on_drift: bool
    monitoring: MonitoringSpec

    @classmethod
    def of(cls, part: LoopPart) -> MonitorPart:
        """Cut monitoring's part out of the whole."""
        spec, service = part.resolved.loop.spec, part.resolved.definitions.service
        times = {column.name for column in service.request if column.dtype == "timestamp"}
        times |= {spec.dataset.event_time, *service.derived}
        return cls(
            dataset=spec.dataset.name,
            keys=tuple(spec.dataset.keys),
            time_keys=tuple(key for key in spec.dataset.keys if key in times),
            label=spec.training.label,
            retrain_on_drift="drift" in spec.training.on,
            monitoring=spec.monitoring,
        )

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads back."""
        return {
            "dataset": self.dataset,
            "keys": list(self.keys),
            "time_keys": list(self.time_keys),
            "label": self.label,
            "retrain_on_drift": self.retrain_on_drift,
            "monitoring": self.monitoring.model_dump(mode="json"),
        }

    @classmethod
    def from_json(cls, source: dict[str, Any]) -> MonitorPart:
        """Read what `to_json` wrote."""
        return cls(
            dataset=source["dataset"],
            keys=tuple(source["keys"]),
            time_keys=tuple(source["time_keys"]),
            label=source["label"],
            retrain_on_drift=source["retrain_on_drift"],
            monitoring=MonitoringSpec.model_validate(source["monitoring"]),
        )


def broken_rules(part: MonitorPart) -> list[tuple[str, str]]:
    """(place, rule) of what the schema lets pass and monitoring cannot do."""
    found = []
    if not SHORTEST <= part.monitoring.window <= LONGEST:
        found.append(("spec.monitoring.window", "from 1m to 365d"))
    if part.monitoring.drift.persistence[1] > MOST_WINDOWS:
        found.append(("spec.monitoring.drift.persistence", f"k of the last {MOST_WINDOWS} windows at most"))
    return found


def changes(old: MonitorPart | None, new: MonitorPart) -> list[str]:
    """One sentence per difference; empty when nothing changes."""
    if old is None:
        return [f"monitoring: watches, in windows of {new.to_json()['monitoring']['window']}, labels {new.label!r}"]
    before, after = _flat(old.to_json()), _flat(new.to_json())
    return [
        f"monitoring: {key} {before.get(key)!r} becomes {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _flat(tree: dict[str, Any], place: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        where = f"{place}{key}"
        found |= _flat(value, f"{where}.") if isinstance(value, dict) else {where: value}
    return found
