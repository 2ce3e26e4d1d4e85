"""Composition root: settings -> actions -> routes and subscriptions."""

from __future__ import annotations

from datetime import timedelta

from capstan_monitoring.actions.advance_watermark import AdvanceWatermark
from capstan_monitoring.actions.apply_part import MonitorParts
from capstan_monitoring.actions.check_statistics import name_broken_statistics
from capstan_monitoring.actions.close_windows import CloseWindows
from capstan_monitoring.actions.consider_retrain import ConsiderRetrain
from capstan_monitoring.actions.follow_retrains import FollowRetrains
from capstan_monitoring.actions.follow_versions import FollowVersions
from capstan_monitoring.actions.ingest_segment import IngestSegment
from capstan_monitoring.actions.join_labels import JoinLabels
from capstan_monitoring.actions.judge_window import JudgeWindow
from capstan_monitoring.actions.know_task import KnowTask
from capstan_monitoring.actions.measure_quality import MeasureQuality
from capstan_monitoring.actions.on_dataset_committed import OnDatasetCommitted
from capstan_monitoring.actions.on_predictions_logged import OnPredictionsLogged
from capstan_monitoring.actions.read_monitors import ReadMonitors
from capstan_monitoring.actions.receive_labels import ReceiveLabels
from capstan_monitoring.actions.render_report import RenderReport
from capstan_monitoring.routes.labels import labels_router
from capstan_monitoring.routes.monitors import monitors_router
from capstan_monitoring.settings import Settings
from capstan_monitoring.subscriptions import subscriptions
from capstan_servicekit.loops.apply import ApplyPart
from capstan_servicekit.loops.routes import loops_router
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.settings import ServiceSettings


def build(settings: ServiceSettings) -> Service:
    """The service with its real parts."""
    own = settings if isinstance(settings, Settings) else Settings(**settings.model_dump())
    return compose(Kit.from_settings(own), own)


def compose(kit: Kit, settings: Settings) -> Service:
    """The service around a kit."""
    lateness = timedelta(seconds=settings.lateness_s)
    database, clock, outbox, work, jobs, objects = (
        kit.database, kit.clock, kit.outbox, kit.work, kit.jobs, kit.objects,
    )  # fmt: skip
    close = CloseWindows(work, lateness)
    retrain, tasks = ConsiderRetrain(clock, outbox), KnowTask(database, jobs, objects)
    return Service(
        kit=kit,
        routers=(
            loops_router(ApplyPart(database, MonitorParts())),
            monitors_router(ReadMonitors(database, objects, lateness), AdvanceWatermark(database, close)),
            labels_router(ReceiveLabels(database, clock, outbox, work, tasks)),
        ),
        subscriptions=subscriptions(
            FollowVersions(outbox, work), FollowRetrains(), OnDatasetCommitted(work, retrain), OnPredictionsLogged(work)
        ),
        work=[
            IngestSegment(database, work, jobs, objects, close),
            JudgeWindow(database, outbox, work, jobs, objects, close, retrain),
            JoinLabels(database, outbox, work, jobs, objects, kit.peers, tasks),
            MeasureQuality(database, outbox, jobs, tasks),
            RenderReport(database, jobs, objects, settings.report_rows),
        ],
        tasks=(name_broken_statistics(jobs).run,),
    )
