"""Composition root of the registry."""

from __future__ import annotations

from capstan_registry.actions.check_gates import name_broken_gates
from capstan_registry.actions.decide_promotion import decide_kind
from capstan_registry.actions.distribute_loop import CONVERGE, converge_kind
from capstan_registry.actions.ports import CatalogueServer, ModelCatalogue
from capstan_registry.actions.project_alias import PROJECT_ALIAS, project_alias_kind
from capstan_registry.actions.reconcile import reconciler
from capstan_registry.actions.register_version import REGISTER, register_kind
from capstan_registry.actions.request_promotion import DECIDE
from capstan_registry.actions.warm_mlflow import WARM, warm_kind
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
    return Service(
        kit,
        routers=[loops_router(kit), models_router(kit), ledger_router(kit), mlflow_router(kit, server)],
        subscriptions=subscriptions(kit),
        work_kinds={
            CONVERGE: converge_kind(kit),
            REGISTER: register_kind(kit, catalogue),
            DECIDE: decide_kind(kit, timeout_s=settings.gates_timeout_s, resamples=settings.resamples),
            PROJECT_ALIAS: project_alias_kind(kit, catalogue),
            WARM: warm_kind(server),
        },
        tasks=[reconciler(kit), process.idle_stopper(), name_broken_gates(kit)],
        closers=[process.close],
        uploads=UPLOADS,
    )
