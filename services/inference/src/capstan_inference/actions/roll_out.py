"""Bring a promoted version into traffic: load, warm, swap, then say so in one transaction."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_contracts.events import RolloutChanged
from capstan_contracts.ids import Urn
from capstan_inference.actions.ports import ModelServer, Placement
from capstan_inference.domain.deployment import DEPLOYMENT, DeploymentState
from capstan_inference.domain.parts import ServingPart, follows
from capstan_inference.domain.work import PromotionToRollOut
from capstan_inference.tables import DeploymentRow, RevisionRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

log = logger(__name__)


class RollOut(Work[PromotionToRollOut]):
    """One promotion at a time. The champion answers until its successor has answered a sample row."""

    Payload = PromotionToRollOut
    max_attempts = 8

    def __init__(self, database: Database, server: ModelServer, outbox: Outbox, clock: Clock) -> None:
        self._database, self._server, self._outbox, self._clock = database, server, outbox, clock

    async def run(self, item: WorkItem[PromotionToRollOut], lease: Lease) -> None:
        """Do it, unless a newer promotion serves already."""
        promotion = item.payload
        placement = await self._begin(item.project, promotion, lease)
        if placement is None:
            async with lease.finish():
                return
        seconds = await self._server.load(placement)
        async with lease.finish() as session:
            row = await session.get(DeploymentRow, (item.project, promotion.model))
            if row is None or not follows(promotion.ledger_sequence, row.ledger_sequence):
                return
            self._apply(session, row, placement, promotion, seconds)

    async def _begin(self, project: str, promotion: PromotionToRollOut, lease: Lease) -> Placement | None:
        async with lease.step() as session:
            row = await session.get(DeploymentRow, (project, promotion.model))
            if row is None or not follows(promotion.ledger_sequence, row.ledger_sequence):
                return None
            if row.model_version is None:
                row.state = DEPLOYMENT.move(row.state, DeploymentState.LOADING)
                row.message = f"version {promotion.version} is being loaded"
            return Placement(
                project=project,
                deployment=row.name,
                version=promotion.version,
                revision=row.revision + 1,
                package=promotion.package,
                part=ServingPart.from_json(row.config),
            )

    def _apply(
        self,
        session: WriteSession,
        row: DeploymentRow,
        placement: Placement,
        promotion: PromotionToRollOut,
        seconds: float,
    ) -> None:
        before, now = row.model_version, self._clock.now()
        row.state = DEPLOYMENT.move(row.state, DeploymentState.SERVING)
        row.message, row.revision, row.since = "", placement.revision, now
        row.model_version, row.package = promotion.version, promotion.package
        row.ledger_sequence = promotion.ledger_sequence
        session.add(
            RevisionRow(
                project=row.project,
                deployment=row.name,
                revision=row.revision,
                model_version=promotion.version,
                package=promotion.package,
                ledger_sequence=promotion.ledger_sequence,
                since=now,
            )
        )
        event = RolloutChanged(
            deployment=row.name,
            revision=row.revision,
            change="promoted",
            from_version=before,
            to_version=promotion.version,
            figures={"ledger_sequence": promotion.ledger_sequence, "load_seconds": seconds},
        )
        subject = Urn(row.project, "deployment", row.name, str(row.revision))
        self._outbox.add(session, event, project=row.project, subject=subject)

    async def failed(self, session: WriteSession, item: WorkItem[PromotionToRollOut], problem: Problem) -> None:
        """The old champion goes on; the deployment says why the new one does not serve."""
        promotion = item.payload
        row = await session.get(DeploymentRow, (item.project, promotion.model))
        if row is None or not follows(promotion.ledger_sequence, row.ledger_sequence):
            return
        stays = f"; version {row.model_version} keeps serving" if row.model_version is not None else ""
        row.message = f"version {promotion.version} could not be loaded: {problem.detail or problem.title}{stays}"
        if row.model_version is None:
            row.state = DEPLOYMENT.move(row.state, DeploymentState.FAILED)
        log.error("rollout.failed", project=item.project, deployment=row.name, message=row.message)
