"""Gates that a loop may write and this registry cannot judge: refused on apply, named at the start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from capstan_contracts.kinds.gates import GATE_SPECS, GateSpec
from capstan_registry.gates.installed import GATES
from capstan_servicekit.jobs.pool import JobFailed, JobPool
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
JOB = "capstan_registry.gates.decide:broken_kinds"


def not_installed(gates: Sequence[GateSpec]) -> list[tuple[str, str]]:
    """(place, sentence) for each gate without an implementation. Imports none: a worker does that."""
    return [
        (f"spec.gates[{number}]", f"a gate of kind {gate.kind!r} is known here, and no judge of it is installed")
        for number, gate in enumerate(gates)
        if gate.kind not in GATES
    ]


class NameBrokenGates:
    """The task of the start: a gate from outside that cannot be imported is named in the log, and the rest works."""

    def __init__(self, jobs: JobPool) -> None:
        self._jobs = jobs

    async def run(self) -> None:
        """Look at what is installed, once."""
        sentences = [str(error) for error in await asyncio.to_thread(GATE_SPECS.broken)]
        if GATES.from_outside:
            try:
                async with self._jobs.scratch() as scratch:
                    sentences += (await self._jobs.run("platform", JOB, {}, scratch=scratch))["broken"]
            except JobFailed as error:
                sentences.append(f"the gates from outside could not be looked at: {error}")
        for sentence in sentences:
            log.warning("gates.broken", what=sentence)
