"""Gates that a loop may write and this registry cannot judge: refused on apply, named at the start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from capstan_contracts.kinds.broken import BrokenKinds, KindsToImport
from capstan_contracts.kinds.gates import GATE_SPECS, GateSpec
from capstan_contracts.kinds.metrics import INSTALLED as METRICS
from capstan_registry.gates.installed import GATES
from capstan_servicekit.broken_kinds import NameBrokenKinds
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool

BROKEN_KINDS: Final = JobKind("platform", "capstan_registry.gates.decide:broken_kinds", KindsToImport, BrokenKinds)


def not_installed(gates: Sequence[GateSpec]) -> list[tuple[str, str]]:
    """(place, sentence) for each gate without an implementation. Imports none: a worker does that."""
    return [
        (f"spec.gates[{number}]", f"a gate of kind {gate.kind!r} is known here, and no judge of it is installed")
        for number, gate in enumerate(gates)
        if gate.kind not in GATES
    ]


def name_broken_gates(jobs: JobPool) -> NameBrokenKinds:
    """The task of the start: what cannot be used of gates and metrics is named in the log, and the rest works."""
    return NameBrokenKinds(jobs, BROKEN_KINDS, noun="gates", specs=GATE_SPECS, implementations=(GATES, METRICS))
