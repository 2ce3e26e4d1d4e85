"""The task of a service's start that names what cannot be used of its families."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from capstan_contracts.kinds.broken import BrokenKinds, KindsToImport
from capstan_contracts.kinds.family import BrokenKind
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobFailed, JobPool
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)


class Installed(Protocol):
    """A `Family`, whatever its kinds are."""

    @property
    def from_outside(self) -> tuple[str, ...]:
        """The names that another distribution than Capstan's own claims."""
        ...

    def broken(self) -> list[BrokenKind]:
        """The kinds that cannot be used; imports all."""
        ...


class NameBrokenKinds:
    """What cannot be used is named in the log as `<noun>.broken`, and the rest works.

    `specs` are imported here, as reading a loop does; `implementations` by `job`, in a worker, since importing them all
    costs memory. `noun` is the plural of what the specs are of: `gates`.
    """

    def __init__(
        self,
        jobs: JobPool,
        job: JobKind[KindsToImport, BrokenKinds],
        *,
        noun: str,
        specs: Installed,
        implementations: Sequence[Installed],
    ) -> None:
        self._jobs, self._job = jobs, job
        self._noun, self._specs, self._implementations = noun, specs, implementations

    async def run(self) -> None:
        """Look at what is installed, once."""
        sentences = [str(error) for error in await asyncio.to_thread(self._specs.broken)]
        if any(family.from_outside for family in self._implementations):
            sentences += await self._broken_implementations()
        for sentence in sentences:
            log.warning(f"{self._noun}.broken", what=sentence)

    async def _broken_implementations(self) -> list[str]:
        try:
            async with self._jobs.scratch() as scratch:
                return (await self._jobs.call(self._job, KindsToImport(), project="", scratch=scratch)).sentences
        except JobFailed as error:
            return [f"the kinds from other distributions could not be looked at: {error}"]
