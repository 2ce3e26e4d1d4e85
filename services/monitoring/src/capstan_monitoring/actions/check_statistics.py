"""Statistics that a loop may write and this service cannot measure: refused on apply, named at the start."""

from __future__ import annotations

from typing import Final

from capstan_contracts.kinds.broken import BrokenKinds, KindsToImport
from capstan_contracts.kinds.metrics import INSTALLED as METRICS
from capstan_contracts.kinds.statistics import STATISTIC_SPECS
from capstan_contracts.loop import DriftSpec
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.broken_kinds import NameBrokenKinds
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool

BROKEN_KINDS: Final = JobKind("platform", "capstan_monitoring.jobs.judge:broken_kinds", KindsToImport, BrokenKinds)


def not_installed(drift: DriftSpec) -> list[tuple[str, str]]:
    """(place, rule) for each chosen statistic without an implementation. Imports none: a worker does that."""
    chosen = {
        "statistic.numeric": drift.statistic.numeric.kind,
        "statistic.categorical": drift.statistic.categorical.kind,
    }
    chosen |= {f"also[{number}]": spec.kind for number, spec in enumerate(drift.also)}
    return [
        (f"spec.monitoring.drift.{place}", f"one that is installed here: {kind!r} is known, and nothing measures it")
        for place, kind in chosen.items()
        if kind not in STATISTICS
    ]


def name_broken_statistics(jobs: JobPool) -> NameBrokenKinds:
    """The task of the start: what cannot be used of statistics and metrics is named in the log; the rest works."""
    return NameBrokenKinds(
        jobs, BROKEN_KINDS, noun="statistics", specs=STATISTIC_SPECS, implementations=(STATISTICS, METRICS)
    )
