"""Ask all model servers of a deployment to close and ship what they have logged, and wait for them."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import select

from capstan_inference.actions.ports import Flushed
from capstan_inference.tables import LOST, ModelServerRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotReady
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
PATIENCE_S = 15.0
_LOOK_AGAIN_S = 0.1
_PREDICTION_PATIENCE_S = 5.0
#: A server's report says of each record, if it is not shipped, after so many seconds at the latest.
_REPORTED_AFTER_S = 10.0


class FlushServers:
    """The order is a number in each server's row, so that any replica of the control can hand it over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self, project: str, deployment: str | None = None, patience_s: float = PATIENCE_S
    ) -> list[Flushed]:
        """Segments that were shipped for it; of every deployment of the project where none is named. NotReady."""
        wanted = await self._order(project, deployment)
        flushed: list[Flushed] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while wanted:
            alive = {row.server: row for row in await self._alive(project)}
            for server, number in list(wanted.items()):
                row = alive.get(server)
                if row is not None and row.flushed < number:
                    continue
                del wanted[server]  # one that has drained meanwhile has shipped everything
                if row is not None and row.flushed_segment is not None:
                    flushed.append(Flushed(row.flushed_segment, row.flushed_rows))
            if wanted and loop.time() > until:
                raise NotReady(
                    f"{len(wanted)} model servers did not ship their log within {patience_s:g} s: "
                    f"{', '.join(sorted(wanted)[:3])}",
                    hint="Their pods' logs say why.",
                )
            if wanted:
                await asyncio.sleep(_LOOK_AGAIN_S)
        return flushed

    async def for_prediction(self, project: str, millis: int) -> bool:
        """Have what may hold a prediction of that Unix time shipped; False where no server can hold it."""
        rows = await self._alive(project)
        # One from the future is nobody's: it must not have every server flushed.
        fresh = abs(time.time() * 1000 - millis) < _REPORTED_AFTER_S * 1000
        if not any(row.records or fresh for row in rows):
            return False
        try:
            await self(project, patience_s=_PREDICTION_PATIENCE_S)
        except NotReady as error:
            log.warning("prediction.servers_silent", project=project, error=error.detail)
        return True

    async def _alive(self, project: str) -> list[ModelServerRow]:
        async with self._database.read() as session:
            alive = select(ModelServerRow).where(ModelServerRow.project == project, ModelServerRow.state != LOST)
            return list((await session.scalars(alive)).all())

    async def _order(self, project: str, deployment: str | None) -> dict[str, int]:
        if not await self._alive(project):
            return {}
        async with self._database.write() as session:
            query = select(ModelServerRow).where(ModelServerRow.project == project, ModelServerRow.state != LOST)
            if deployment is not None:
                query = query.where(ModelServerRow.deployment == deployment)
            wanted = {}
            for row in (await session.scalars(query)).all():
                row.flush_wanted += 1
                wanted[row.server] = row.flush_wanted
            return wanted
