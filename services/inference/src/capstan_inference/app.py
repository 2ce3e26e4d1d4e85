"""Composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from capstan_contracts.errors import Problem
from capstan_contracts.ids import uuid7
from capstan_inference.actions.apply_loop import RECONCILE, ApplyLoop
from capstan_inference.actions.converge import Converge, placements
from capstan_inference.actions.find_prediction import FindPrediction
from capstan_inference.actions.list_deployments import ListDeployments
from capstan_inference.actions.note_registry import ROLL_OUT
from capstan_inference.actions.ports import ModelServer
from capstan_inference.actions.reconcile import Reconcile
from capstan_inference.actions.roll_out import RollOut
from capstan_inference.actions.ship_segments import ShipSegments
from capstan_inference.adapters.model_server import ChildModelServer
from capstan_inference.adapters.spool import FolderSpool
from capstan_inference.routes.deployments import deployments_router
from capstan_inference.routes.predictions import predictions_router
from capstan_inference.settings import Settings
from capstan_inference.subscriptions import subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.runtime import Check, Kit, Service
from capstan_servicekit.settings import ServiceSettings
from capstan_servicekit.work import WorkItem, WorkKind


def build(settings: ServiceSettings) -> Service:
    """The service with its real parts."""
    if not isinstance(settings, Settings):
        raise TypeError("the inference service needs its own settings")
    return compose(Kit.from_settings(settings), settings)


def compose(kit: Kit, settings: Settings, server: ModelServer | None = None) -> Service:
    """The same from parts; a `server` given takes the place of the child process."""
    child = None
    if server is None:
        server = child = ChildModelServer(settings, kit.objects, partial(placements, kit.database))
    spool = FolderSpool(settings.home / "spool" / "inference")
    roll_out = RollOut(kit.database, server, kit.outbox, kit.clock)
    reconcile = Reconcile(kit.database, kit.peers, kit.work)
    ship = ShipSegments(kit.database, kit.objects, kit.outbox, spool, server)
    find = FindPrediction(kit.database, kit.objects, spool)
    converge = Converge(kit.database, server, kit.work, occasion=uuid7())
    tasks: list[Callable[[], Awaitable[None]]] = [converge.run, ship.run]
    checks: dict[str, Check] = {}
    if child is not None:
        tasks.append(child.run)
        checks["model server"] = child.missing
    return Service(
        kit=kit,
        routers=[
            deployments_router(kit.database, ListDeployments(server), ApplyLoop(kit.work), ship),
            predictions_router(find),
        ],
        subscriptions=subscriptions(kit.work),
        work_kinds={
            ROLL_OUT: WorkKind(roll_out, roll_out.failed, max_attempts=8),
            RECONCILE: WorkKind(reconcile, _reconcile_failed, max_attempts=10, concurrency=4),
        },
        tasks=tasks,
        checks=checks,
        closers=[child.close] if child is not None else [],
    )


async def _reconcile_failed(session: WriteSession, item: WorkItem, problem: Problem) -> None:
    """Nothing to take back: the next start, and every promotion, bring the champion as well."""
