"""Composition root of the registry."""

from __future__ import annotations

from capstan_registry.actions.append_to_ledger import AppendToLedger
from capstan_registry.actions.apply_loop import ApplyLoop
from capstan_registry.actions.check_gates import name_broken_gates
from capstan_registry.actions.crown_champion import CrownChampion
from capstan_registry.actions.decide_promotion import DecidePromotion
from capstan_registry.actions.distribute_loop import DistributeLoop, FinishDistribution, QueueDistribution
from capstan_registry.actions.judge_promotion import JudgePromotion
from capstan_registry.actions.ports import CatalogueServer, ModelCatalogue
from capstan_registry.actions.project_alias import ProjectAlias, ProjectMissingAliases, QueueProjection
from capstan_registry.actions.proxy_request import ProxyRequests
from capstan_registry.actions.read_ledger import ReadLedger
from capstan_registry.actions.read_loops import ReadLoops
from capstan_registry.actions.read_models import ReadModels
from capstan_registry.actions.reconcile import DistributeMissingLoops, Reconcile
from capstan_registry.actions.record_decision import RecordDecision
from capstan_registry.actions.register_version import RegisterVersion
from capstan_registry.actions.request_promotion import AddPromotion, Promotions
from capstan_registry.actions.roll_back import RollBack
from capstan_registry.actions.warm_mlflow import WarmMlflow
from capstan_registry.adapters.mlflow_catalogue import MlflowCatalogue
from capstan_registry.adapters.mlflow_process import MlflowProcess
from capstan_registry.adapters.mlflow_server import MlflowServer
from capstan_registry.adapters.mlflow_standalone import serve_mlflow
from capstan_registry.routes.ledger import ledger_router
from capstan_registry.routes.loops import loops_router
from capstan_registry.routes.mlflow_proxy import UPLOADS, mlflow_router
from capstan_registry.routes.models import models_router
from capstan_registry.settings import Settings
from capstan_registry.subscriptions import subscriptions
from capstan_servicekit.runtime import Kit, Service

__all__ = ["build", "compose", "serve_mlflow"]


def build(settings: Settings) -> Service:
    """The registry with its real parts."""
    return compose(Kit.from_settings(settings), settings)


def compose(
    kit: Kit, settings: Settings, *, catalogue: ModelCatalogue | None = None, server: CatalogueServer | None = None
) -> Service:
    """The registry around `kit`; catalogue and server can be replaced."""
    process = MlflowProcess(settings)
    catalogue, server = catalogue or MlflowCatalogue(process), server or MlflowServer(process)
    database, clock, outbox, work = kit.database, kit.clock, kit.outbox, kit.work
    distribute = DistributeLoop(database, kit.peers)
    promotions, projection, distribution = AddPromotion(clock, work), QueueProjection(work), QueueDistribution(work)
    reconcile = Reconcile(
        ProjectMissingAliases(database, clock, work, projection), DistributeMissingLoops(database, work, distribution)
    )
    judge = JudgePromotion(kit.jobs, kit.objects, timeout_s=settings.gates_timeout_s, resamples=settings.resamples)
    ledger, crown = AppendToLedger(clock), CrownChampion(outbox, projection)
    record, roll_back = RecordDecision(outbox, ledger, crown), RollBack(database, clock, ledger, crown)
    return Service(
        kit,
        routers=[
            loops_router(ApplyLoop(database, clock, kit.peers, distribute, distribution), ReadLoops(database)),
            models_router(ReadModels(database), Promotions(database, clock, work, promotions), roll_back),
            ledger_router(ReadLedger(database)),
            mlflow_router(ProxyRequests(database, server)),
        ],
        subscriptions=subscriptions(work),
        work=[
            FinishDistribution(database, distribute),
            RegisterVersion(clock, outbox, promotions, catalogue),
            DecidePromotion(database, judge, record),
            ProjectAlias(database, catalogue),
            WarmMlflow(server),
        ],
        tasks=[reconcile.run, process.idle_stopper(), name_broken_gates(kit.jobs).run],
        closers=[process.close],
        uploads=UPLOADS,
    )  # fmt: skip
