"""What the registry's events and answers mean here: the run of a version, and a champion to roll out."""

from __future__ import annotations

from capstan_contracts.events import VersionPromoted, VersionRegistered
from capstan_inference.domain.parts import follows
from capstan_inference.domain.work import PromotionToRollOut
from capstan_inference.tables import DeploymentRow, remember_run
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


class FollowRegistry:
    """`version.registered` and `version.promoted`, within the transaction of the event."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def registered(self, session: WriteSession, project: str, event: VersionRegistered) -> None:
        """Remember which run made the version."""
        await remember_run(session, project, event.model, event.version, event.package, event.run)

    async def promoted(self, session: WriteSession, project: str, event: VersionPromoted) -> None:
        """Enqueue the roll-out. A model without a loop here waits for the loop: then the registry is asked."""
        row = await session.get(DeploymentRow, (project, event.model))
        if row is None or not follows(event.ledger_sequence, row.ledger_sequence):
            return
        promotion = PromotionToRollOut(event.model, event.to_version, event.package, event.ledger_sequence)
        await self._work.add(session, promotion, project=project)
