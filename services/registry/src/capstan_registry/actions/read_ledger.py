"""Look at the ledger, and recompute its chain."""

from __future__ import annotations

import json

from sqlalchemy import func, select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import LedgerEntry, LedgerVerification
from capstan_registry.domain.ledger import Decision, Link, canonical, verify
from capstan_registry.tables import ChampionRow, LedgerRow, PromotionRow
from capstan_servicekit.db.session import Database

PAGE = 200


class ReadLedger:
    """Entries, and their verification."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self, project: str, model: str | None, before: int | None) -> Page[LedgerEntry]:
        """Decisions, newest first; `before` is the cursor of the page that came before."""
        query = select(LedgerRow).where(LedgerRow.project == project)
        if model is not None:
            query = query.where(LedgerRow.model == model)
        if before is not None:
            query = query.where(LedgerRow.sequence < before)
        async with self._database.read() as session:
            rows = (await session.scalars(query.order_by(LedgerRow.sequence.desc()).limit(PAGE + 1))).all()
        shown = rows[:PAGE]
        return Page(items=[_entry(row) for row in shown], next=str(shown[-1].sequence) if len(rows) > PAGE else None)

    async def verify(self, project: str) -> LedgerVerification:
        """Recompute every hash, and look for rows that champions and promotions refer to."""
        async with self._database.read() as session:
            chain = select(LedgerRow).where(LedgerRow.project == project).order_by(LedgerRow.sequence)
            rows = (await session.scalars(chain)).all()
            named = [
                await session.scalar(
                    select(func.max(ChampionRow.ledger_sequence)).where(ChampionRow.project == project)
                ),
                await session.scalar(
                    select(func.max(PromotionRow.ledger_sequence)).where(PromotionRow.project == project)
                ),
            ]
        verdict = verify([_link(row) for row in rows], at_least=max(sequence or 0 for sequence in named))
        return LedgerVerification(
            intact=verdict.broken_at is None, entries=verdict.entries, broken_at=verdict.broken_at, head=verdict.head
        )


def _link(row: LedgerRow) -> Link:
    gates = _gates(row.gates)
    decision = None
    if gates is not None:
        decision = Decision(
            project=row.project,
            sequence=row.sequence,
            model=row.model,
            version=row.version,
            previous_version=row.previous_version,
            decision=row.decision,
            by=row.by,
            at=row.at,
            package=row.package,
            gates=gates,
        )
    return Link(row.sequence, decision, row.previous_hash, row.hash)


def _gates(text: str) -> list[dict[str, object]] | None:
    """None where the text is not what was written."""
    try:
        gates: list[dict[str, object]] = json.loads(text)
        return gates if canonical(gates) == text else None
    except ValueError:
        return None


def _entry(row: LedgerRow) -> LedgerEntry:
    return LedgerEntry(
        sequence=row.sequence,
        model=row.model,
        version=row.version,
        previous_version=row.previous_version,
        decision=row.decision,
        by=row.by,
        at=row.at,
        package=row.package,
        gates=_gates(row.gates) or [],
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
