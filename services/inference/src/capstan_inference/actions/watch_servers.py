"""Raise an alarm where model servers are missing, and count what went with a server that never came back."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from capstan_inference.actions.ports import ModelServer, ReplicaStatus
from capstan_inference.actions.take_report import TakeReport
from capstan_inference.domain.deployment import DeploymentState
from capstan_inference.tables import LOST, DeploymentRow, ModelServerRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import CapstanError
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
EVERY_S = 1.0


class WatchServers:
    """A background task. A server is lost when it is silent and the cluster has no pod of its name any more."""

    def __init__(
        self,
        database: Database,
        server: ModelServer,
        reports: TakeReport,
        registry: CollectorRegistry,
        silent_s: float,
    ) -> None:
        self._database, self._server, self._reports, self._silent_s = database, server, reports, silent_s
        self._degraded: set[tuple[str, str]] = set()
        labels = ["project", "deployment"]
        self._available = Gauge(
            "capstan_inference_model_servers_available", "Model servers that can answer", labels, registry=registry
        )
        self._wanted = Gauge(
            "capstan_inference_model_servers_wanted", "Model servers that should answer", labels, registry=registry
        )
        self._lost = Counter(
            "capstan_inference_lost_records",
            "Records of the prediction log that a model server had reported and not shipped when it was lost",
            labels,
            registry=registry,
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
                await self.count_lost()
            except (SQLAlchemyError, CapstanError) as error:
                log.warning("model_servers.not_watched", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Figures, and a line in the log whenever a deployment that serves becomes degraded or whole."""
        below: dict[tuple[str, str], ReplicaStatus] = {}
        for key, replica_status in self._server.replica_status.items():
            self._available.labels(*key).set(replica_status.available)
            self._wanted.labels(*key).set(replica_status.wanted)
            if replica_status.available < replica_status.wanted:
                below[key] = replica_status
            elif key in self._degraded:
                self._degraded.discard(key)
                log.warning("deployment.whole", project=key[0], deployment=key[1], servers=replica_status.available)
        for key, replica_status in below.items():
            if key not in self._degraded and await self._serves(key):
                self._degraded.add(key)
                log.error("deployment.degraded", project=key[0], deployment=key[1], message=replica_status.shortfall)

    async def _serves(self, key: tuple[str, str]) -> bool:
        """One whose first version is still being loaded lacks nothing yet."""
        async with self._database.read() as session:
            row = await session.get(DeploymentRow, key)
        return row is not None and row.state == DeploymentState.SERVING

    async def count_lost(self) -> None:
        """Mark servers that are gone for good, each once."""
        existing, now = self._server.servers, time.monotonic()
        if existing is None:
            return
        async with self._database.read() as session:
            rows = (await session.scalars(select(ModelServerRow).where(ModelServerRow.state != LOST))).all()
        for row in rows:
            key = (row.project, row.server)
            # Not heard since this process started: the silence counts from the first look.
            heard = self._reports.heard.setdefault(key, now)
            if now - heard > self._silent_s and row.server not in existing:
                await self._mark_lost(key)

    async def _mark_lost(self, key: tuple[str, str]) -> None:
        self._reports.heard.pop(key, None)
        async with self._database.write() as session:
            row = await session.get(ModelServerRow, key)
            if row is None or row.state == LOST:
                return
            if not row.records:
                await session.delete(row)
                log.info("model_server.gone", project=row.project, deployment=row.deployment, server=row.server)
                return
            row.state = LOST
        self._lost.labels(row.project, row.deployment).inc(row.records)
        log.error(
            "prediction_log.records_lost",
            project=row.project,
            deployment=row.deployment,
            server=row.server,
            records=row.records,
        )
