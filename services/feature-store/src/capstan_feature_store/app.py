"""Composition root: settings, adapters, actions, routes and subscriptions."""

from __future__ import annotations

from capstan_feature_store.actions.apply_part import FeatureParts
from capstan_feature_store.actions.build_training_set import BuildTrainingSet
from capstan_feature_store.actions.catalogue import Catalogue
from capstan_feature_store.actions.explain_value import ExplainValue
from capstan_feature_store.actions.keep_online import KeepOnline
from capstan_feature_store.actions.materialize import Materialize
from capstan_feature_store.actions.ports import JobLimits, OnlineStore
from capstan_feature_store.actions.queue_materialization import QueueMaterialization
from capstan_feature_store.actions.read_online import ReadOnline
from capstan_feature_store.actions.request_materialization import Materializations
from capstan_feature_store.actions.request_training_set import TrainingSets
from capstan_feature_store.adapters.ingestion import IngestionDatasets
from capstan_feature_store.adapters.online_files import OnlineFiles
from capstan_feature_store.routes.api import Actions, routers
from capstan_feature_store.settings import Settings
from capstan_feature_store.subscriptions import subscriptions
from capstan_servicekit.loops.apply import ApplyPart
from capstan_servicekit.loops.routes import loops_router
from capstan_servicekit.runtime import Kit, Service


def build(settings: Settings) -> Service:
    """The service on its real parts."""
    kit, url = Kit.from_settings(settings), settings.online_store_url.get_secret_value()
    if not url:
        return compose(kit, settings)
    from capstan_feature_store.adapters.online_redis import OnlineRedis  # noqa: PLC0415 - it takes half a second

    store = OnlineRedis(url)
    kit.checks = {**kit.checks, "online store": store.check}
    return compose(kit, settings, store=store)


def compose(kit: Kit, settings: Settings, *, store: OnlineStore | None = None) -> Service:
    """The service on the given parts. Whatever the store lost, or holds in an older format, is made again."""
    datasets, online = IngestionDatasets(kit.peers, kit.objects), store or OnlineFiles(settings.online_folder)
    limits = JobLimits(
        memory_mb=settings.join_memory_mb,
        threads=settings.join_threads,
        timeout_s=settings.job_timeout_s,
        check_timeout_s=settings.check_timeout_s,
        older_rows=settings.online_older_rows,
    )
    queue = QueueMaterialization(kit.work)
    materialize = Materialize(kit.database, kit.jobs, kit.outbox, datasets, limits, online, kit.clock)
    build_set = BuildTrainingSet(kit.database, kit.jobs, kit.objects, datasets, limits)
    actions = Actions(
        catalogue=Catalogue(kit.database),
        training_sets=TrainingSets(kit.database, kit.work, datasets, kit.objects, kit.clock),
        materializations=Materializations(kit.database, kit.work, queue, datasets, kit.clock),
        read_online=ReadOnline(kit.database, online, kit.clock, settings.max_online_rows),
        explain=ExplainValue(kit.database, kit.jobs, datasets, limits),
    )
    parts = FeatureParts(kit.database, kit.jobs, datasets, queue, kit.clock, limits)
    return Service(
        kit=kit,
        routers=[*routers(actions), loops_router(ApplyPart(kit.database, parts))],
        subscriptions=subscriptions(queue, kit.clock),
        work=[materialize, build_set],
        tasks=(KeepOnline(kit.database, online, queue, kit.clock),),
        closers=[online.close],
    )
