"""The ledger grows by a row that is chained to the one before."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from capstan_contracts.events import GateFigure
from capstan_registry.domain.ledger import GENESIS, Decision, canonical
from capstan_registry.tables import LedgerRow, VersionRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import WriteSession


class AppendToLedger:
    """Runs in the transaction of the decision that the row is about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(
        self,
        session: WriteSession,
        version: VersionRow,
        decision: str,
        *,
        by: str,
        previous: int | None,
        figures: Sequence[GateFigure],
    ) -> LedgerRow:
        """Add what was decided on a version; `previous` is the champion of before."""
        last = await session.scalar(
            select(LedgerRow).where(LedgerRow.project == version.project).order_by(LedgerRow.sequence.desc()).limit(1)
        )
        head = last.hash if last else GENESIS
        made = Decision(
            project=version.project,
            sequence=last.sequence + 1 if last else 1,
            model=version.model,
            version=version.version,
            previous_version=previous,
            decision=decision,
            by=by,
            at=self._clock.now(),
            package=version.package,
            gates=[figure.model_dump(mode="json") for figure in figures],
        )
        row = LedgerRow(
            project=made.project,
            sequence=made.sequence,
            model=made.model,
            version=made.version,
            previous_version=made.previous_version,
            decision=made.decision,
            by=made.by,
            at=made.at,
            package=made.package,
            gates=canonical(made.gates),
            previous_hash=head,
            hash=made.hash_after(head),
        )
        session.add(row)
        await session.flush()
        return row
