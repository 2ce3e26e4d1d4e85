"""What the gates say becomes a decision: ledger row, champion and events, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from capstan_contracts.events import GateFigure, GatesDecided
from capstan_contracts.ids import Urn
from capstan_registry.actions.append_to_ledger import AppendToLedger
from capstan_registry.actions.crown_champion import CrownChampion
from capstan_registry.actions.promotion_case import PromotionCase
from capstan_registry.domain.ledger import APPROVED, REFUSED
from capstan_registry.domain.verdict import Verdict, verdict
from capstan_registry.tables import ChampionRow, PromotionRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import WriteSession


class ChampionMoved(Exception):
    """Another promotion came first: judge again, against the new champion."""


class RecordDecision:
    """A promotion that waits for a person keeps its figures, and nothing else happens yet."""

    def __init__(self, outbox: Outbox, ledger: AppendToLedger, crown: CrownChampion) -> None:
        self._outbox, self._ledger, self._crown = outbox, ledger, crown

    async def __call__(self, session: WriteSession, case: PromotionCase, figures: Sequence[GateFigure]) -> None:
        """ChampionMoved when the figures are about a champion of the past."""
        candidate, before = case.candidate, case.champion.version if case.champion else None
        champion = await session.get(ChampionRow, (candidate.project, candidate.model))
        if (champion.version if champion else None) != before:
            raise ChampionMoved(candidate.model)
        promotion = await session.get_one(PromotionRow, case.promotion.id)
        promotion.gates = list(figures)
        if (decision := verdict(figures)) is Verdict.WAITING:
            return
        approved = decision is Verdict.APPROVED
        row = await self._ledger(
            session,
            candidate,
            APPROVED if approved else REFUSED,
            by=promotion.requested_by,
            previous=before,
            figures=figures,
        )
        promotion.approved, promotion.ledger_sequence = approved, row.sequence
        decided = GatesDecided(
            model=candidate.model,
            version=candidate.version,
            approved=approved,
            gates=list(figures),
            champion=before,
            run=candidate.run,
        )
        subject = Urn(candidate.project, "model", candidate.model, str(candidate.version))
        self._outbox.add(session, decided, project=candidate.project, subject=subject)
        if approved:
            await self._crown(session, candidate, row)
