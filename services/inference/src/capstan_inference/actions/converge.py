"""Keep the model server at what the database says, whatever happened to either of them."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from capstan_inference.actions.apply_loop import RECONCILE
from capstan_inference.actions.ports import ModelServer, Placement
from capstan_inference.domain.parts import ServingPart
from capstan_inference.tables import DeploymentRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import CapstanError, NotReady
from capstan_servicekit.telemetry import logger
from capstan_servicekit.work import WorkQueue

log = logger(__name__)
EVERY_S = 2.0
AGAIN_AFTER_S = 30.0


async def placements(database: Database) -> list[Placement]:
    """Every version that should be in memory."""
    async with database.read() as session:
        rows = (await session.scalars(select(DeploymentRow).where(DeploymentRow.model_version.is_not(None)))).all()
    return [
        Placement(
            project=row.project,
            deployment=row.name,
            version=row.model_version,
            revision=row.revision,
            package=row.package,
            part=ServingPart.from_json(row.config),
        )
        for row in rows
        if row.model_version is not None and row.package is not None
    ]


class Converge:
    """A background task: reconcile once at the start, then compare what serves with what should."""

    def __init__(self, database: Database, server: ModelServer, work: WorkQueue, occasion: str) -> None:
        self._database, self._server, self._work, self._occasion = database, server, work, occasion
        self._not_before: dict[Placement, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with self._database.write() as session:
            for row in (await session.scalars(select(DeploymentRow))).all():
                key = f"{row.model}:{self._occasion}"
                await self._work.add(session, RECONCILE, key=key, project=row.project)
        while True:
            await self.once()
            await asyncio.sleep(EVERY_S)

    async def once(self) -> None:
        """Load what is missing or has another configuration. A newer one than ours is a roll-out under way."""
        now = asyncio.get_running_loop().time()
        for wanted in await placements(self._database):
            there = self._server.serving.get((wanted.project, wanted.deployment))
            if there == wanted or (there is not None and there.revision > wanted.revision):
                continue
            if self._not_before.get(wanted, 0.0) > now:
                continue
            try:
                await self._server.load(wanted)
            except NotReady:
                return
            except CapstanError as error:
                self._not_before[wanted] = now + AGAIN_AFTER_S
                await self._tell(wanted, "failed", f"version {wanted.version} cannot be served: {error.detail}")
            else:
                self._not_before.pop(wanted, None)
                await self._tell(wanted, "serving", "")

    async def _tell(self, placement: Placement, state: str, message: str) -> None:
        async with self._database.write() as session:
            row = await session.get(DeploymentRow, (placement.project, placement.deployment))
            if row is not None and row.revision == placement.revision and (row.state, row.message) != (state, message):
                row.state, row.message = state, message
                log.warning("deployment.state", deployment=row.name, state=state, message=message)
