"""Composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from capstan_contracts.ids import uuid7
from capstan_inference.actions.apply_part import ServingParts
from capstan_inference.actions.converge import Converge, Placements
from capstan_inference.actions.find_prediction import FindPrediction
from capstan_inference.actions.flush_servers import FlushServers
from capstan_inference.actions.follow_registry import FollowRegistry
from capstan_inference.actions.list_deployments import ListDeployments
from capstan_inference.actions.ports import ModelServer
from capstan_inference.actions.reconcile import Reconcile
from capstan_inference.actions.roll_out import RollOut
from capstan_inference.actions.ship_segments import ShipSegments
from capstan_inference.actions.take_report import TakeReport
from capstan_inference.actions.take_segment import TakeSegment
from capstan_inference.actions.watch_servers import WatchServers
from capstan_inference.adapters.model_servers.port import MODEL_SERVERS
from capstan_inference.adapters.spool import FolderSpool
from capstan_inference.routes.deployments import deployments_router
from capstan_inference.routes.predictions import predictions_router
from capstan_inference.routes.servers import UPLOADS, servers_router
from capstan_inference.settings import Settings
from capstan_inference.subscriptions import subscriptions
from capstan_servicekit.loops.apply import ApplyPart
from capstan_servicekit.loops.routes import loops_router
from capstan_servicekit.runtime import Check, Kit, Service
from capstan_servicekit.settings import ServiceSettings


def build(settings: ServiceSettings) -> Service:
    """The service with its real parts."""
    if not isinstance(settings, Settings):
        raise TypeError("the inference service needs its own settings")
    return compose(Kit.from_settings(settings), settings)


def compose(kit: Kit, settings: Settings, server: ModelServer | None = None) -> Service:
    """The same from parts; a `server` given takes the place of the one that the settings name."""
    own = None
    flush, placements = FlushServers(kit.database), Placements(kit.database)
    if server is None:
        server = own = MODEL_SERVERS.get(settings.model_servers)(settings, kit.objects, placements, flush)
    spool = FolderSpool(settings.home / "spool" / "inference")
    roll_out = RollOut(kit.database, server, kit.outbox, kit.clock)
    reconcile = Reconcile(kit.database, kit.peers, kit.work)
    ship = ShipSegments(kit.database, kit.objects, kit.outbox, spool, server)
    find = FindPrediction(kit.database, kit.objects, spool, flush)
    converge = Converge(kit.database, placements, server, kit.work, occasion=uuid7())
    reports = TakeReport(kit.database, kit.clock)
    watch = WatchServers(kit.database, server, reports, kit.metrics.registry, settings.model_silent_s)
    tasks: list[Callable[[], Awaitable[None]]] = [converge.run, ship.run, watch.run]
    checks: dict[str, Check] = {}
    if own is not None:
        tasks.append(own.run)
        checks["model server"] = own.missing
    return Service(
        kit=kit,
        routers=[
            loops_router(ApplyPart(kit.database, ServingParts(kit.work))),
            deployments_router(ListDeployments(kit.database, server), ship),
            predictions_router(find),
            servers_router(kit.objects, reports, TakeSegment(spool, ship), settings.home / "scratch" / "segments"),
        ],
        subscriptions=subscriptions(FollowRegistry(kit.work)),
        work=[roll_out, reconcile],
        tasks=tasks,
        checks=checks,
        closers=[own.close] if own is not None else [],
        uploads=UPLOADS,
    )
