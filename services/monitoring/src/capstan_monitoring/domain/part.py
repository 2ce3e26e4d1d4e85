"""The part of a Loop that monitoring takes: its policy, and how labels are found."""

from __future__ import annotations

from datetime import timedelta

from capstan_contracts.loop import MonitoringSpec, ResolvedLoop
from capstan_contracts.parts import Part, differences

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=365)
MOST_WINDOWS = 100


class MonitorPart(Part):
    """What a monitor needs to know of its loop. `time_keys` are the keys that are points in time."""

    dataset: str
    keys: tuple[str, ...]
    time_keys: tuple[str, ...]
    label: str
    task: str | None = None
    retrain_on_drift: bool
    monitoring: MonitoringSpec

    @classmethod
    def of(cls, resolved: ResolvedLoop) -> MonitorPart:
        """Cut monitoring's part out of the whole."""
        spec, service = resolved.loop.spec, resolved.definitions.service
        times = {column.name for column in service.request if column.dtype == "timestamp"}
        times |= {spec.dataset.event_time, *service.derived}
        return cls(
            dataset=spec.dataset.name,
            keys=tuple(spec.dataset.keys),
            time_keys=tuple(key for key in spec.dataset.keys if key in times),
            label=spec.training.label,
            task=spec.training.task,
            retrain_on_drift="drift" in spec.training.on,
            monitoring=spec.monitoring,
        )


def broken_rules(part: MonitorPart) -> list[tuple[str, str]]:
    """(place, rule) of what the schema lets pass and monitoring cannot do."""
    broken = []
    if not SHORTEST <= part.monitoring.window <= LONGEST:
        broken.append(("spec.monitoring.window", "from 1m to 365d"))
    broken += [(f"spec.monitoring.{place}", rule) for place, rule in part.monitoring.drift.too_few_rows()]
    if part.monitoring.drift.persistence[1] > MOST_WINDOWS:
        broken.append(("spec.monitoring.drift.persistence", f"k of the last {MOST_WINDOWS} windows at most"))
    return broken


def changes(old: MonitorPart | None, new: MonitorPart) -> list[str]:
    """One sentence per difference; empty when nothing changes."""
    if old is None:
        return [f"monitoring: watches, in windows of {new.to_json()['monitoring']['window']}, labels {new.label!r}"]
    return differences("monitoring", old.to_json(), new.to_json())
