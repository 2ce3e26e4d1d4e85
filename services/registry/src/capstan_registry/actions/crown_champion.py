"""A version becomes champion: its row, its event, and the work that lets MLflow's alias follow."""

from __future__ import annotations

from capstan_contracts.events import VersionPromoted
from capstan_contracts.ids import Urn
from capstan_registry.actions.project_alias import QueueProjection
from capstan_registry.tables import ChampionRow, LedgerRow, VersionRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import WriteSession


class CrownChampion:
    """Runs in the transaction of the ledger row that says so."""

    def __init__(self, outbox: Outbox, projection: QueueProjection) -> None:
        self._outbox, self._projection = outbox, projection

    async def __call__(self, session: WriteSession, version: VersionRow, row: LedgerRow) -> None:
        """The champion is `version`, by the ledger's `row`."""
        promoted = VersionPromoted(
            model=version.model,
            from_version=row.previous_version,
            to_version=version.version,
            package=version.package,
            by=row.by,
            ledger_sequence=row.sequence,
        )
        subject = Urn(version.project, "model", version.model, str(version.version))
        self._outbox.add(session, promoted, project=version.project, subject=subject)
        champion = await session.get(ChampionRow, (version.project, version.model))
        if champion is None:
            champion = ChampionRow(project=version.project, model=version.model, alias_sequence=0)
            session.add(champion)
        champion.version, champion.ledger_sequence = version.version, row.sequence
        await self._projection(session, champion)
