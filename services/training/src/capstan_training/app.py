"""Composition root of the training service: settings to adapters to actions to routes and subscriptions."""

from __future__ import annotations

from capstan_servicekit.jobs.box.abilities import boxes_hold
from capstan_servicekit.loops.apply import ApplyPart
from capstan_servicekit.loops.routes import loops_router
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.settings import ServiceSettings
from capstan_training.actions.apply_part import TrainingParts
from capstan_training.actions.cancel_run import CancelRun
from capstan_training.actions.carry_out_run import CarryOutRun
from capstan_training.actions.choose_pipeline import ChoosePipeline
from capstan_training.actions.close_run import CloseRun
from capstan_training.actions.compile_code import CompileCode
from capstan_training.actions.consider_start import ConsiderStart
from capstan_training.actions.follow_log import FollowLog
from capstan_training.actions.log_run import LogRun
from capstan_training.actions.make_training_set import MakeTrainingSet
from capstan_training.actions.on_dataset_committed import OnDatasetCommitted
from capstan_training.actions.ports import Executor
from capstan_training.actions.read_code import ReadCode
from capstan_training.actions.read_runs import ReadRuns
from capstan_training.actions.request_run import RequestRun
from capstan_training.actions.retrain import Retrain
from capstan_training.actions.run_pipeline import RunPipeline
from capstan_training.actions.run_pod_api import RunPodApi
from capstan_training.actions.start_run import StartRun
from capstan_training.actions.store_code import StoreCode
from capstan_training.adapters.executors.port import EXECUTORS
from capstan_training.adapters.feature_store import FeatureStoreTrainingSets
from capstan_training.adapters.ingestion import IngestionDatasets
from capstan_training.adapters.mlflow import MlflowTracking
from capstan_training.adapters.run_logs import RunLogFiles
from capstan_training.routes.code import code_router
from capstan_training.routes.pods import pods_router
from capstan_training.routes.runs import runs_router
from capstan_training.settings import Settings
from capstan_training.subscriptions import subscriptions


def build(settings: ServiceSettings) -> Service:
    """The service on its real parts."""
    own = settings if isinstance(settings, Settings) else Settings(**settings.model_dump())
    return compose(Kit.from_settings(own), own)


def compose(kit: Kit, settings: Settings, executor: Executor | None = None) -> Service:
    """The service on given parts; an `executor` given takes the place of the one that the settings name."""
    database, clock, work, objects = kit.database, kit.clock, kit.work, kit.objects
    handover = RunPodApi(database, objects, settings.home / "scratch" / "training-runs")
    executor = executor or EXECUTORS.get(settings.executor)(settings, objects, handover)
    logs = RunLogFiles(settings.home / "logs" / "runs", cap=settings.log_bytes)
    datasets, start = IngestionDatasets(kit.peers), StartRun(clock, work)
    choose = ChoosePipeline(database, wait_s=settings.compile_wait_s)
    features = MakeTrainingSet(
        FeatureStoreTrainingSets(kit.peers),
        logs,
        timeout_s=settings.features_timeout_s,
        poll_s=settings.poll_s,
    )
    pipeline = RunPipeline(executor, logs, settings.home / "scratch" / "training-runs")
    return Service(
        kit=kit,
        routers=[
            code_router(
                StoreCode(
                    database,
                    clock,
                    work,
                    kit.jobs,
                    objects,
                    max_bytes=settings.max_code_bytes,
                    persons=None if settings.trust_recipes or boxes_hold() else kit.principals.persons,
                ),
                ReadCode(database),
            ),
            loops_router(ApplyPart(database, TrainingParts(choose, work, clock))),
            runs_router(
                RequestRun(database, clock, datasets, start),
                ReadRuns(database, work),
                CancelRun(database, work),
                FollowLog(database, objects, logs, poll_s=settings.poll_s),
            ),
            pods_router(handover),
        ],
        subscriptions=subscriptions(Retrain(start), OnDatasetCommitted(work)),
        work=[
            CompileCode(kit.jobs, objects, timeout_s=settings.compile_timeout_s),
            ConsiderStart(database, datasets, start),
            CarryOutRun(database, clock, kit.outbox, work, datasets, features, pipeline, logs),
            CloseRun(objects, executor, logs),
            LogRun(database, MlflowTracking(kit.peers)),
        ],
        closers=[executor.close],
        uploads=r"^/v1/projects/[^/]+/(code|runs/[^/]+/pod/outputs/[^/]+)/[0-9a-f]+$",
    )
