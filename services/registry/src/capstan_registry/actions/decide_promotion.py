"""Gates decide a promotion; ledger row, champion, events and the alias's work item are one transaction."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.events import GateFigure, GatesDecided, VersionPromoted
from capstan_contracts.ids import Urn
from capstan_contracts.loop import ResolvedLoop
from capstan_registry.actions.project_alias import add_projection
from capstan_registry.actions.stored_loop import stored_loop
from capstan_registry.domain.ledger import APPROVED, GENESIS, REFUSED, Decision, canonical
from capstan_registry.domain.verdict import Verdict, no_quality, verdict
from capstan_registry.domain.work import PromotionToDecide
from capstan_registry.tables import ChampionRow, LedgerRow, LoopRow, PromotionRow, VersionRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import Conflict, NotFound
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)
JOB = "capstan_registry.gates.decide:decide"


class ChampionMoved(Exception):
    """Another promotion came first: judge again, against the new champion."""


@dataclass(frozen=True)
class _Case:
    """What is judged: the candidate, the champion of the moment, the gates of the moment."""

    promotion: PromotionRow
    candidate: VersionRow
    champion: VersionRow | None
    loop: ResolvedLoop

    def job_input(self, resamples: int) -> dict[str, Any]:
        """What the job is given besides files."""
        spec = self.loop.loop.spec
        return {
            "gates": [gate.model_dump(mode="json", by_alias=True) for gate in spec.gates],
            "definitions": self.loop.definitions.model_dump(mode="json", by_alias=True),
            "task": spec.training.task,
            "requested_by": self.promotion.requested_by,
            "approval": self.promotion.approval,
            "resamples": resamples,
        }


class DecidePromotion(Work[PromotionToDecide]):
    """Judges outside of any transaction; when the champion changed meanwhile, the work is tried again."""

    Payload = PromotionToDecide

    def __init__(
        self,
        database: Database,
        clock: Clock,
        outbox: Outbox,
        work: WorkQueue,
        jobs: JobPool,
        objects: ObjectStore,
        *,
        timeout_s: float,
        resamples: int,
    ) -> None:
        self._database, self._clock, self._outbox, self._work = database, clock, outbox, work
        self._jobs, self._objects = jobs, objects
        self._timeout_s, self._resamples = timeout_s, resamples

    async def run(self, item: WorkItem[PromotionToDecide], lease: Lease) -> None:
        """Compute the gates, then record what they say."""
        async with self._database.read() as session:
            case = await _load(session, item.project, item.payload.promotion)
        figures = await _judge(
            self._jobs, self._objects, item.project, case, lease, timeout_s=self._timeout_s, resamples=self._resamples
        )
        async with lease.finish() as session:
            await self._record(session, item.project, case, figures)

    async def failed(self, session: WriteSession, item: WorkItem[PromotionToDecide], problem: Problem) -> None:
        """Gates that cannot speak refuse: the candidate's retrain ends, and the ledger says why."""
        promotion = item.payload.promotion
        log.error("promotion.not_decided", promotion=promotion, project=item.project, detail=problem.detail)
        with suppress(Conflict, NotFound):
            case = await _load(session, item.project, promotion)
            sentence = f"the gates could not be computed: {problem.detail or problem.title}"
            figures = [GateFigure(gate="judgement", passed=False, sentence=sentence)]
            await self._record(session, item.project, case, figures)

    async def _record(self, session: WriteSession, project: str, case: _Case, figures: list[GateFigure]) -> None:
        await _record(session, self._clock, self._outbox, self._work, project, case, figures)


async def _load(session: ReadSession, project: str, promotion: str) -> _Case:
    row = await session.get(PromotionRow, promotion)
    assert row is not None
    candidate = await session.get(VersionRow, (project, row.model, row.version))
    assert candidate is not None
    current = await session.get(ChampionRow, (project, row.model))
    champion = None
    if current is not None:
        if current.version == row.version:
            raise Conflict(f"Version {row.version} of {row.model!r} is the champion already")
        champion = await session.get(VersionRow, (project, row.model, current.version))
    loop = await session.get(LoopRow, (project, row.model))
    if loop is None:
        raise NotFound(
            f"no loop {row.model!r} in project {project!r}, so there are no gates to decide by",
            hint="Apply the loop, then ask for the promotion again.",
        )
    return _Case(row, candidate, champion, stored_loop(loop))


async def _judge(
    jobs: JobPool, objects: ObjectStore, project: str, case: _Case, lease: Lease, *, timeout_s: float, resamples: int
) -> list[GateFigure]:
    async def path_of(digest: str | None) -> str | None:
        return None if digest is None else str(await objects.local_path(project, digest))

    async with jobs.scratch() as scratch:
        result = await jobs.run(
            "platform",
            JOB,
            {
                "candidate": await path_of(case.candidate.package),
                "champion": await path_of(case.champion.package if case.champion else None),
                "holdout": await path_of(case.candidate.holdout),
                **case.job_input(resamples),
            },
            scratch=scratch,
            timeout_s=timeout_s,
            progress=lease.progress,
        )
        evaluation = await objects.put_file(project, Path(scratch) / result["items"]) if result["items"] else None
    figures = [GateFigure.model_validate(figure) for figure in result["figures"]]
    if case.loop.loop.spec.quality == "none":
        figures.append(no_quality(case.candidate.version))
    if evaluation is None:
        return figures
    return [figure.model_copy(update={"figures": figure.figures | {"evaluation": evaluation}}) for figure in figures]


async def _record(
    session: WriteSession, clock: Clock, outbox: Outbox, work: WorkQueue, project: str, case: _Case,
    figures: list[GateFigure],
) -> None:  # fmt: skip
    candidate, before = case.candidate, case.champion.version if case.champion else None
    champion = await session.get(ChampionRow, (project, candidate.model))
    if (champion.version if champion else None) != before:
        raise ChampionMoved(candidate.model)
    promotion = await session.get(PromotionRow, case.promotion.id)
    assert promotion is not None
    promotion.gates = [figure.model_dump(mode="json") for figure in figures]
    if (decision := verdict(figures)) is Verdict.WAITING:
        return
    approved = decision is Verdict.APPROVED
    row = await _append(session, clock, case, figures, APPROVED if approved else REFUSED)
    promotion.approved, promotion.ledger_sequence = approved, row.sequence
    subject = Urn(project, "model", candidate.model, str(candidate.version))
    decided = GatesDecided(
        model=candidate.model,
        version=candidate.version,
        approved=approved,
        gates=figures,
        champion=before,
        run=candidate.run,
    )
    outbox.add(session, decided, project=project, subject=subject)
    if not approved:
        return
    promoted = VersionPromoted(
        model=candidate.model,
        from_version=before,
        to_version=candidate.version,
        package=candidate.package,
        by=case.promotion.requested_by,
        ledger_sequence=row.sequence,
    )
    outbox.add(session, promoted, project=project, subject=subject)
    if champion is None:
        champion = ChampionRow(project=project, model=candidate.model, alias_sequence=0)
        session.add(champion)
    champion.version, champion.ledger_sequence = candidate.version, row.sequence
    await add_projection(session, work, champion)


async def _append(
    session: WriteSession, clock: Clock, case: _Case, figures: list[GateFigure], decision: str
) -> LedgerRow:
    project = case.candidate.project
    last = await session.scalar(
        select(LedgerRow).where(LedgerRow.project == project).order_by(LedgerRow.sequence.desc()).limit(1)
    )
    previous = last.hash if last else GENESIS
    made = Decision(
        project=project,
        sequence=last.sequence + 1 if last else 1,
        model=case.candidate.model,
        version=case.candidate.version,
        previous_version=case.champion.version if case.champion else None,
        decision=decision,
        by=case.promotion.requested_by,
        at=clock.now(),
        package=case.candidate.package,
        gates=[figure.model_dump(mode="json") for figure in figures],
    )
    row = LedgerRow(
        project=project,
        sequence=made.sequence,
        model=made.model,
        version=made.version,
        previous_version=made.previous_version,
        decision=made.decision,
        by=made.by,
        at=made.at,
        package=made.package,
        gates=canonical(made.gates),
        previous_hash=previous,
        hash=made.hash_after(previous),
    )
    session.add(row)
    await session.flush()
    return row
