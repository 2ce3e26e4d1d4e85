"""A model server says where it stands, each second; the answer says what is wanted of it."""

from __future__ import annotations

import time

from capstan_contracts.rest.inference import ServerOrders, ServerReport
from capstan_inference.tables import LOST, ModelServerRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
_KEPT = ("state", "revision", "model_version", "package", "records", "flushed", "flushed_segment", "flushed_rows")


class TakeReport:
    """Writes only what changed: a server without traffic costs a read per second."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        #: When each server was last heard, on this process's monotonic clock.
        self.heard: dict[tuple[str, str], float] = {}

    async def __call__(self, project: str, deployment: str, server: str, report: ServerReport) -> ServerOrders:
        """Remember it. A server that has drained is forgotten: it holds nothing any more."""
        key = (project, server)
        self.heard[key] = time.monotonic()
        async with self._database.read() as session:
            row = await session.get(ModelServerRow, key)
        if row is not None and report.state != "drained" and all(getattr(row, n) == getattr(report, n) for n in _KEPT):
            return ServerOrders(flush=row.flush_wanted)
        async with self._database.write() as session:
            return await self._write(session, key, deployment, report)

    async def _write(
        self, session: WriteSession, key: tuple[str, str], deployment: str, report: ServerReport
    ) -> ServerOrders:
        row = await session.get(ModelServerRow, key)
        if report.state == "drained":
            self.heard.pop(key, None)
            if row is not None:
                await session.delete(row)
            log.info("model_server.drained", project=key[0], deployment=deployment, server=key[1])
            return ServerOrders()
        values = {name: getattr(report, name) for name in _KEPT}
        if row is None:
            log.info("model_server.reports", project=key[0], deployment=deployment, server=key[1], state=report.state)
            now = self._clock.now()
            session.add(
                ModelServerRow(
                    project=key[0], server=key[1], deployment=deployment, flush_wanted=0, since=now, **values
                )
            )
            return ServerOrders()
        if row.state == LOST:
            log.warning("model_server.back", project=key[0], deployment=deployment, server=key[1])
        for name, value in values.items():
            setattr(row, name, value)
        return ServerOrders(flush=row.flush_wanted)
