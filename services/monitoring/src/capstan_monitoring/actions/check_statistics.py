"""Statistics that a loop may write and this service cannot measure: refused on apply, named at the start."""

from __future__ import annotations

import asyncio
from typing import Final

from capstan_contracts.kinds.metrics import INSTALLED as METRICS
from capstan_contracts.kinds.statistics import STATISTIC_SPECS
from capstan_contracts.loop import DriftSpec
from capstan_monitoring.domain.jobs import BrokenKinds, KindsToImport
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobFailed, JobPool
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
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


class NameBrokenStatistics:
    """The task of the start: what cannot be used of statistics and metrics is named in the log; the rest works."""

    def __init__(self, jobs: JobPool) -> None:
        self._jobs = jobs

    async def run(self) -> None:
        """Look at what is installed, once."""
        sentences = [str(error) for error in await asyncio.to_thread(STATISTIC_SPECS.broken)]
        if STATISTICS.from_outside or METRICS.from_outside:
            try:
                async with self._jobs.scratch() as scratch:
                    sentences += (
                        await self._jobs.call(BROKEN_KINDS, KindsToImport(), project="", scratch=scratch)
                    ).sentences
            except JobFailed as error:
                sentences.append(f"the statistics and metrics from outside could not be looked at: {error}")
        for sentence in sentences:
            log.warning("statistics.broken", what=sentence)
