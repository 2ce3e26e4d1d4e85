"""Keep the model server at what the database says, whatever happened to either of them."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from capstan_inference.actions.ports import ModelServer, Placement
from capstan_inference.domain.deployment import DEPLOYMENT, DeploymentState
from capstan_inference.domain.parts import ServingPart
from capstan_inference.domain.work import ModelToReconcile
from capstan_inference.tables import DeploymentRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import CapstanError, NotReady
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)
EVERY_S = 2.0
AGAIN_AFTER_S = 30.0


class Placements:
    """Every version that should be in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> list[Placement]:
        """As the database has them now."""
        serving = select(DeploymentRow).where(DeploymentRow.model_version.is_not(None))
        async with self._database.read() as session:
            rows = (await session.scalars(serving)).all()
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

    def __init__(
        self, database: Database, placements: Placements, server: ModelServer, work: WorkQueue, occasion: str
    ) -> None:
        self._database, self._placements, self._server, self._work = database, placements, server, work
        self._occasion = occasion
        self._not_before: dict[Placement, float] = {}
        self._under_way: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with self._database.write() as session:
            for row in (await session.scalars(select(DeploymentRow))).all():
                await self._work.add(session, ModelToReconcile(row.model, self._occasion), project=row.project)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._once(group)
                await asyncio.sleep(EVERY_S)

    async def _once(self, group: asyncio.TaskGroup) -> None:
        """Load what is missing or has another configuration. A newer one than ours is a roll-out under way.

        Nothing is waited for: a version that takes minutes, or never comes up, keeps no other from being repaired.
        """
        now = asyncio.get_running_loop().time()
        for wanted in await self._placements():
            key = (wanted.project, wanted.deployment)
            if key not in self._under_way and self._is_stale(wanted, now):
                self._under_way.add(key)
                task = group.create_task(self._repair(wanted))
                task.add_done_callback(lambda _, done=key: self._under_way.discard(done))  # type: ignore[misc]

    def _is_stale(self, wanted: Placement, now: float) -> bool:
        serving = self._server.serving.get((wanted.project, wanted.deployment))
        if serving == wanted or (serving is not None and serving.revision > wanted.revision):
            return False
        return self._not_before.get(wanted, 0.0) <= now

    async def _repair(self, wanted: Placement) -> None:
        try:
            await self._server.load(wanted)
        except NotReady as error:
            log.warning("deployment.not_loaded", deployment=wanted.deployment, error=error.detail)
        except CapstanError as error:
            self._not_before[wanted] = asyncio.get_running_loop().time() + AGAIN_AFTER_S
            await self._tell(
                wanted, DeploymentState.FAILED, f"version {wanted.version} cannot be served: {error.detail}"
            )
        else:
            self._not_before.pop(wanted, None)
            await self._tell(wanted, DeploymentState.SERVING, "")

    async def _tell(self, placement: Placement, state: DeploymentState, message: str) -> None:
        async with self._database.write() as session:
            row = await session.get(DeploymentRow, (placement.project, placement.deployment))
            if row is None or row.revision != placement.revision:
                return
            # What serves may carry a message on the successor that could not be loaded: that stays true.
            if row.state != state or (state is DeploymentState.FAILED and row.message != message):
                row.state, row.message = DEPLOYMENT.move(row.state, state), message
                log.warning("deployment.state", deployment=row.name, state=state, message=message)
