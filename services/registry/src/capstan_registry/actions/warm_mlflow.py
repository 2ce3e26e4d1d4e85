"""A run has started: its package will need MLflow, so have it up by then."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_registry.actions.ports import CatalogueServer
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.runtime import Kit
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem

log = logger(__name__)
WARM = "warm"


async def enqueue(kit: Kit, session: WriteSession, project: str, run: str) -> None:
    """Warm MLflow, once per run."""
    await kit.work.add(session, WARM, key=run, project=project)


def warm_kind(server: CatalogueServer) -> WorkKind:
    """The work behind `enqueue`. When it fails nothing is lost: whoever needs MLflow starts it."""

    async def run(item: WorkItem, lease: Lease) -> None:
        await server.warm()
        async with lease.finish():
            pass

    async def failed(session: WriteSession, item: WorkItem, problem: Problem) -> None:
        log.warning("mlflow.not_warmed", run=item.key, detail=problem.detail)

    return WorkKind(run, failed, max_attempts=2)
