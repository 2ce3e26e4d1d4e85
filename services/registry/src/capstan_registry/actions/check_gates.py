"""Gates that a loop may write and this registry cannot judge: refused on apply, named at the start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from capstan_contracts.kinds.gates import GATE_SPECS, GateSpec
from capstan_contracts.kinds.metrics import INSTALLED as METRICS
from capstan_registry.domain.jobs import BrokenKinds, KindsToImport
from capstan_registry.gates.installed import GATES
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobFailed, JobPool
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
BROKEN_KINDS: Final = JobKind("platform", "capstan_registry.gates.decide:broken_kinds", KindsToImport, BrokenKinds)


def not_installed(gates: Sequence[GateSpec]) -> list[tuple[str, str]]:
    """(place, sentence) for each gate without an implementation. Imports none: a worker does that."""
    return [
        (f"spec.gates[{number}]", f"a gate of kind {gate.kind!r} is known here, and no judge of it is installed")
        for number, gate in enumerate(gates)
        if gate.kind not in GATES
    ]


class NameBrokenGates:
    """The task of the start: what cannot be used of gates and metrics is named in the log, and the rest works."""

    def __init__(self, jobs: JobPool) -> None:
        self._jobs = jobs

    async def run(self) -> None:
        """Look at what is installed, once."""
        sentences = [str(error) for error in await asyncio.to_thread(GATE_SPECS.broken)]
        if GATES.from_outside or METRICS.from_outside:
            try:
                async with self._jobs.scratch() as scratch:
                    sentences += (
                        await self._jobs.call(BROKEN_KINDS, KindsToImport(), project="", scratch=scratch)
                    ).sentences
            except JobFailed as error:
                sentences.append(f"the gates and metrics from outside could not be looked at: {error}")
        for sentence in sentences:
            log.warning("gates.broken", what=sentence)
