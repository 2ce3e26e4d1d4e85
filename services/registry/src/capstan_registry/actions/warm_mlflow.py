"""A run has started: its package will need MLflow, so have it up by then."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_registry.actions.ports import CatalogueServer
from capstan_registry.domain.work import RunToWarmFor
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

log = logger(__name__)


class WarmMlflow(Work[RunToWarmFor]):
    """When it fails nothing is lost: whoever needs MLflow starts it."""

    Payload = RunToWarmFor
    max_attempts = 2

    def __init__(self, server: CatalogueServer) -> None:
        self._server = server

    async def run(self, item: WorkItem[RunToWarmFor], lease: Lease) -> None:
        """Start the server and wait until it answers."""
        await self._server.warm()
        async with lease.finish():
            pass

    async def failed(self, session: WriteSession, item: WorkItem[RunToWarmFor], problem: Problem) -> None:
        """Only the log says so."""
        log.warning("mlflow.not_warmed", run=item.payload.run, detail=problem.detail)
