"""Ask for a version to become champion; gates decide."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.ids import uuid7
from capstan_contracts.rest.registry import Promotion
from capstan_contracts.work import State, WorkStatus
from capstan_registry.domain.work import PromotionToDecide
from capstan_registry.tables import ChampionRow, PromotionRow, version_row
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import Conflict, NotFound
from capstan_servicekit.work.queue import WorkQueue


async def add_promotion(
    session: WriteSession, work: WorkQueue, clock: Clock, project: str, model: str, version: int, *, by: str
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
        ledger_sequence=None,
        created_at=clock.now(),
    )
    session.add(row)
    await session.flush()
    await work.add(session, PromotionToDecide(row.id), project=project)
    return row


class Promotions:
    """The resource `promotions`."""

    def __init__(self, database: Database, clock: Clock, work: WorkQueue) -> None:
        self._database, self._clock, self._work = database, clock, work

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
            row = await add_promotion(session, self._work, self._clock, project, model, version, by=by)
            promotion = _promotion(row, WorkStatus(state=State.QUEUED))
            answer = promotion.model_dump(mode="json")
            remember(session, project, key, request_print, answer, self._clock.now())
        return promotion

    async def get(self, project: str, promotion: str) -> Promotion:
        """A request and, once there is one, its decision. NotFound."""
        async with self._database.read() as session:
            row = await session.get(PromotionRow, promotion)
            if row is None or row.project != project:
                raise NotFound(f"no promotion {promotion} in project {project!r}")
            status = await self._work.status(session, PromotionToDecide(row.id), project=project)
        return _promotion(row, status or WorkStatus(state=State.QUEUED))


def _promotion(row: PromotionRow, status: WorkStatus) -> Promotion:
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
        ledger_sequence=row.ledger_sequence,
        created_at=row.created_at,
    )
