"""Gates decide a promotion; ledger row, champion, events and the alias's work item are one transaction."""

from __future__ import annotations

from contextlib import suppress

from capstan_contracts.errors import Problem
from capstan_contracts.events import GateFigure
from capstan_registry.actions.judge_promotion import JudgePromotion
from capstan_registry.actions.promotion_case import PromotionCase
from capstan_registry.actions.record_decision import RecordDecision
from capstan_registry.domain.work import PromotionToDecide
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import Conflict, NotFound
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

log = logger(__name__)


class DecidePromotion(Work[PromotionToDecide]):
    """Judges outside of any transaction; when the champion changed meanwhile, the work is tried again."""

    Payload = PromotionToDecide

    def __init__(self, database: Database, judge: JudgePromotion, record: RecordDecision) -> None:
        self._database, self._judge, self._record = database, judge, record

    async def run(self, item: WorkItem[PromotionToDecide], lease: Lease) -> None:
        """Compute the gates, then record what they say."""
        async with self._database.read() as session:
            case = await PromotionCase.load(session, item.project, item.payload.promotion)
        figures = await self._judge(item.project, case, lease.progress)
        async with lease.finish() as session:
            await self._record(session, case, figures)

    async def failed(self, session: WriteSession, item: WorkItem[PromotionToDecide], problem: Problem) -> None:
        """Gates that cannot speak refuse: the candidate's retrain ends, and the ledger says why."""
        promotion = item.payload.promotion
        log.error("promotion.not_decided", promotion=promotion, project=item.project, detail=problem.detail)
        with suppress(Conflict, NotFound):
            case = await PromotionCase.load(session, item.project, promotion)
            sentence = f"the gates could not be computed: {problem.detail or problem.title}"
            await self._record(session, case, [GateFigure(gate="judgement", passed=False, sentence=sentence)])
