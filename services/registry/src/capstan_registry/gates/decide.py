"""The job: let every gate judge, on evidence that is made when the first gate needs it."""

from __future__ import annotations

from pathlib import Path

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.broken import BrokenKinds
from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_contracts.kinds.gates import GATE_KINDS, GateSpec
from capstan_evaluation.errors import EvaluationError
from capstan_evaluation.kinds import METRICS
from capstan_registry.domain.jobs import GateNeeds, GatesToAsk, JudgedPromotion, PromotionToJudge
from capstan_registry.gates.evidence.case import Case
from capstan_registry.gates.evidence.evidence import Evidence, Need
from capstan_registry.gates.installed import GATES
from capstan_registry.jobs.scoring import Unusable, write_items
from capstan_servicekit.jobs.api import Job

ITEMS = "items.parquet"


def decide(job: Job) -> JudgedPromotion:
    """Figures of every gate, in their order."""
    given = job.read(PromotionToJudge)
    specs = [GATE_KINDS.parse(gate) for gate in given.gates]
    job.progress(0, len(specs), "scoring the holdout")
    evidence = Evidence(Case.of(given, _columns(specs), job.progress))
    figures = []
    for number, spec in enumerate(specs, start=1):
        figures.append(judge(evidence, spec).model_dump(mode="json"))
        job.progress(number, len(specs), spec.title)
    return JudgedPromotion(figures, _write_items(job.scratch, evidence))


def needs(job: Job) -> GateNeeds:
    """What the gates will read. Here, since only a worker imports gates; one that cannot be used needs nothing."""
    needed: set[Need] = set()
    for spec in map(GATE_KINDS.parse, job.read(GatesToAsk).gates):
        try:
            needed |= GATES.get(spec.kind).needs(spec)
        except (UnknownKind, BrokenKind):
            continue
    return GateNeeds(champions=Need.CHAMPION in needed)


def broken_kinds(job: Job) -> BrokenKinds:
    """Of the gates and metrics that are installed. Here, since importing them all costs memory."""
    return BrokenKinds([str(error) for error in (*GATES.broken(), *METRICS.broken())])


def judge(evidence: Evidence, spec: GateSpec) -> GateFigure:
    """One gate's figure. What cannot be computed refuses, with the reason."""
    try:
        kind = GATES.get(spec.kind)
        return kind.judge(evidence.limited(kind.needs(spec)), spec)
    except (Unusable, EvaluationError, UnknownKind, BrokenKind) as reason:
        return GateFigure(gate=spec.title, kind=spec.kind, passed=False, sentence=f"Not passed: {reason}.")


def _columns(specs: list[GateSpec]) -> frozenset[str]:
    """What the gates read of the holdout; one that cannot be used says so when it is asked to judge."""
    wanted: set[str] = set()
    for spec in specs:
        try:
            wanted |= GATES.get(spec.kind).columns(spec)
        except (UnknownKind, BrokenKind):
            continue
    return frozenset(wanted)


def _write_items(scratch: Path, evidence: Evidence) -> str | None:
    scores = evidence.scores()
    if scores is None:
        return None
    write_items(scratch / ITEMS, *scores)
    return ITEMS
