"""Ask for a version to become champion; gates decide."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import GateFigure
from capstan_contracts.ids import uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import ApprovalGiven, Promotion
from capstan_contracts.work import Progress, State, WorkStatus
from capstan_registry.domain.verdict import waiting_for
from capstan_registry.tables import ChampionRow, PromotionRow, VersionRow
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.errors import Conflict, NotFound
from capstan_servicekit.runtime import Kit

DECIDE = "decide"
SHOWN = 50
"""Promotions on the one page that there is."""
_ANSWERED = ".answered"
"""Ends the key of the work item that decides after a person has answered."""


async def add_promotion(
    kit: Kit, session: WriteSession, project: str, model: str, version: int, *, by: str
) -> PromotionRow:
    """The request and the work that decides it, in the caller's transaction."""
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
        created_at=kit.clock.now(),
    )
    session.add(row)
    await session.flush()
    await kit.work.add(session, DECIDE, key=row.id, project=project)
    return row


async def request_promotion(kit: Kit, project: str, model: str, version: int, *, by: str, key: str | None) -> Promotion:
    """A person asks. NotFound; Conflict when the version is production already."""
    print_ = fingerprint("promote", model, str(version), by)
    async with kit.database.write() as session:
        if (answer := await recall(session, project, key, print_)) is not None:
            return Promotion.model_validate(answer)
        if await session.get(VersionRow, (project, model, version)) is None:
            raise NotFound(f"no version {version} of model {model!r} in project {project!r}")
        champion = await session.get(ChampionRow, (project, model))
        if champion is not None and champion.version == version:
            raise Conflict(
                f"Version {version} of {model!r} is the champion already",
                hint=f"Ledger entry {champion.ledger_sequence} says why.",
            )
        row = await add_promotion(kit, session, project, model, version, by=by)
        promotion = _promotion(row, WorkStatus(state=State.QUEUED))
        remember(session, project, key, print_, promotion.model_dump(mode="json"), kit.clock.now())
    return promotion


async def get_promotion(kit: Kit, session: ReadSession, project: str, promotion: str) -> Promotion:
    """A request and, once there is one, its decision."""
    row = await session.get(PromotionRow, promotion)
    if row is None or row.project != project:
        raise NotFound(f"no promotion {promotion} in project {project!r}")
    key = row.id if row.approval is None else answered(row.id)
    status = await kit.work.status(session, DECIDE, key=key, project=project)
    return _promotion(row, status or WorkStatus(state=State.QUEUED))


async def list_promotions(kit: Kit, session: ReadSession, project: str, model: str | None) -> Page[Promotion]:
    """The newest requests of a project, or of one model."""
    query = select(PromotionRow.id).where(PromotionRow.project == project)
    if model is not None:
        query = query.where(PromotionRow.model == model)
    newest = (
        await session.scalars(query.order_by(PromotionRow.created_at.desc(), PromotionRow.id.desc()).limit(SHOWN))
    ).all()
    return Page(items=[await get_promotion(kit, session, project, one) for one in newest])


def answered(promotion: str) -> str:
    """The key of the work that decides once a person has answered: what was judged before is judged again.

    Meanwhile there may be another champion, and the loop other gates.
    """
    return promotion + _ANSWERED


def promotion_of(key: str) -> str:
    """The promotion that an item of work decides."""
    return key.removesuffix(_ANSWERED)


def awaits_answer(row: PromotionRow) -> bool:
    """Whether the gates have judged, and a person is to be asked."""
    return row.approved is None and row.approval is None and bool(_waiting(row))


def _waiting(row: PromotionRow) -> str:
    return waiting_for([GateFigure.model_validate(figure) for figure in row.gates])


def _promotion(row: PromotionRow, status: WorkStatus) -> Promotion:
    if awaits_answer(row):
        status = WorkStatus(state=State.WAITING, progress=Progress(message=_waiting(row)))
    return Promotion(
        state=status.state,
        progress=status.progress,
        problem=status.problem,
        id=row.id,
        model=row.model,
        version=row.version,
        requested_by=row.requested_by,
        approved=row.approved,
        gates=[GateFigure.model_validate(figure) for figure in row.gates],
        approval=ApprovalGiven.model_validate(row.approval) if row.approval else None,
        ledger_sequence=row.ledger_sequence,
        created_at=row.created_at,
    )
