"""Statistics that a loop may write and this service cannot measure: refused on apply, named at the start."""

from __future__ import annotations

import asyncio

from capstan_contracts.kinds.statistics import STATISTIC_SPECS
from capstan_contracts.loop import DriftSpec
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.jobs.pool import JobFailed, JobPool
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
JOB = "capstan_monitoring.jobs.judge:broken_kinds"


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
    """The task of the start: one from outside that cannot be imported is named in the log, and the rest works."""

    def __init__(self, jobs: JobPool) -> None:
        self._jobs = jobs

    async def run(self) -> None:
        """Look at what is installed, once."""
        sentences = [str(error) for error in await asyncio.to_thread(STATISTIC_SPECS.broken)]
        if STATISTICS.from_outside:
            try:
                async with self._jobs.scratch() as scratch:
                    sentences += (await self._jobs.run("platform", JOB, {}, scratch=scratch))["broken"]
            except JobFailed as error:
                sentences.append(f"the statistics from outside could not be looked at: {error}")
        for sentence in sentences:
            log.warning("statistics.broken", what=sentence)
