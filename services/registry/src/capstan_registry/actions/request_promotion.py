"""Ask for a version to become champion; gates decide."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.ids import uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import Approval, ApprovalGiven, Promotion
from capstan_contracts.work import Progress, State, WorkStatus
from capstan_registry.actions.approval import (
    awaits_answer,
    check_is_waited_for,
    check_may_answer,
    repeats,
    waiting_sentence,
)
from capstan_registry.domain.work import PromotionToDecide
from capstan_registry.tables import ChampionRow, PromotionRow, promotion_row, version_row
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import Conflict
from capstan_servicekit.security.auth import Principal
from capstan_servicekit.work.queue import WorkQueue

SHOWN = 50
"""Promotions on the one page that there is."""


class AddPromotion:
    """The request and the work that decides it, in the caller's transaction."""

    def __init__(self, clock: Clock, work: WorkQueue) -> None:
        self._clock, self._work = clock, work

    async def __call__(self, session: WriteSession, project: str, model: str, version: int, *, by: str) -> PromotionRow:
        """Add both."""
        row = PromotionRow(
            id=uuid7(),
            project=project,
            model=model,
            version=version,
            requested_by=by,
            approved=None,
            gates=[],
            approval=None,
            ledger_sequence=None,
            created_at=self._clock.now(),
        )
        session.add(row)
        await session.flush()
        await self._work.add(session, PromotionToDecide(row.id), project=project)
        return row


class Promotions:
    """The resource `promotions`."""

    def __init__(self, database: Database, clock: Clock, work: WorkQueue, add: AddPromotion) -> None:
        self._database, self._clock, self._work, self._add = database, clock, work, add

    async def request(self, project: str, model: str, version: int, *, by: str, key: str | None) -> Promotion:
        """A person asks. NotFound; Conflict when the version is production already."""
        request_print = fingerprint("promote", model, str(version), by)
        async with self._database.write() as session:
            if (answer := await recall(session, project, key, request_print)) is not None:
                return Promotion.model_validate(answer)
            await version_row(session, project, model, version)
            champion = await session.get(ChampionRow, (project, model))
            if champion is not None and champion.version == version:
                raise Conflict(
                    f"Version {version} of {model!r} is the champion already",
                    hint=f"Ledger entry {champion.ledger_sequence} says why.",
                )
            row = await self._add(session, project, model, version, by=by)
            promotion = _promotion(row, WorkStatus(state=State.QUEUED))
            answer = promotion.model_dump(mode="json")
            remember(session, project, key, request_print, answer, self._clock.now())
        return promotion

    async def get(self, project: str, promotion: str) -> Promotion:
        """A request and, once there is one, its decision. NotFound."""
        async with self._database.read() as session:
            return await self._shown(session, await promotion_row(session, project, promotion))

    async def newest(self, project: str, model: str | None) -> Page[Promotion]:
        """The newest requests of a project, or of one model."""
        query = select(PromotionRow).where(PromotionRow.project == project)
        if model is not None:
            query = query.where(PromotionRow.model == model)
        query = query.order_by(PromotionRow.created_at.desc(), PromotionRow.id.desc()).limit(SHOWN)
        async with self._database.read() as session:
            rows = list(await session.scalars(query))
            return Page(items=[await self._shown(session, row) for row in rows])

    async def answer(self, project: str, promotion: str, answer: Approval, *, by: Principal) -> Promotion:
        """A person approves or rejects. The same answer of the same person again changes nothing.

        Forbidden for services and for who asked; Conflict when nobody is waited for, or somebody has answered;
        NotFound.
        """
        async with self._database.write() as session:
            row = await promotion_row(session, project, promotion)
            check_may_answer(row, by)
            given = ApprovalGiven(approve=answer.approve, reason=answer.reason, by=by.id, at=self._clock.now())
            if not repeats(row, given):
                check_is_waited_for(row)
                row.approval = given
                await self._work.add(session, PromotionToDecide(row.id, answered=True), project=project)
        return await self.get(project, promotion)

    async def _shown(self, session: ReadSession, row: PromotionRow) -> Promotion:
        item = PromotionToDecide(row.id, answered=row.approval is not None)
        status = await self._work.status(session, item, project=row.project)
        return _promotion(row, status or WorkStatus(state=State.QUEUED))


def _promotion(row: PromotionRow, status: WorkStatus) -> Promotion:
    if awaits_answer(row):
        status = WorkStatus(state=State.WAITING, progress=Progress(message=waiting_sentence(row)))
    return Promotion(
        state=status.state,
        progress=status.progress,
        problem=status.problem,
        id=row.id,
        model=row.model,
        version=row.version,
        requested_by=row.requested_by,
        approved=row.approved,
        gates=row.gates,
        approval=row.approval,
        ledger_sequence=row.ledger_sequence,
        created_at=row.created_at,
    )
