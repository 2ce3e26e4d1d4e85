"""Composition root: settings -> actions -> routes and subscriptions."""

from __future__ import annotations

from datetime import timedelta

from capstan_monitoring.actions.advance_watermark import AdvanceWatermark
from capstan_monitoring.actions.check_statistics import name_broken_statistics
from capstan_monitoring.actions.close_windows import INGEST, JUDGE
from capstan_monitoring.actions.consider_retrain import ConsiderRetrain
from capstan_monitoring.actions.follow_versions import FollowVersions
from capstan_monitoring.actions.ingest_segment import IngestSegment
from capstan_monitoring.actions.join_labels import JOIN_LABELS, JoinLabels
from capstan_monitoring.actions.judge_window import RENDER, JudgeWindow
from capstan_monitoring.actions.measure_quality import QUALITY, MeasureQuality
from capstan_monitoring.actions.note_commit import NoteCommit
from capstan_monitoring.actions.read_monitors import ReadMonitors
from capstan_monitoring.actions.receive_labels import ReceiveLabels
from capstan_monitoring.actions.render_report import RenderReport
from capstan_monitoring.actions.take_part import TakePart
from capstan_monitoring.routes.labels import labels_router
from capstan_monitoring.routes.loops import loops_router
from capstan_monitoring.routes.monitors import monitors_router
from capstan_monitoring.settings import Settings
from capstan_monitoring.subscriptions import subscriptions
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.settings import ServiceSettings


def build(settings: ServiceSettings) -> Service:
    """The service with its real parts."""
    own = settings if isinstance(settings, Settings) else Settings(**settings.model_dump())
    return compose(Kit.from_settings(own), own)


def compose(kit: Kit, settings: Settings) -> Service:
    """The service around a kit."""
    lateness = timedelta(seconds=settings.lateness_s)
    retrain = ConsiderRetrain(kit)
    return Service(
        kit=kit,
        routers=(
            loops_router(TakePart(kit)),
            monitors_router(ReadMonitors(kit, lateness), AdvanceWatermark(kit, lateness)),
            labels_router(ReceiveLabels(kit)),
        ),
        subscriptions=subscriptions(kit, FollowVersions(kit), NoteCommit(kit, retrain)),
        work_kinds={
            INGEST: IngestSegment(kit, lateness).work_kind(),
            JUDGE: JudgeWindow(kit, lateness, retrain).work_kind(),
            JOIN_LABELS: JoinLabels(kit).work_kind(),
            QUALITY: MeasureQuality(kit).work_kind(),
            RENDER: RenderReport(kit, settings.report_rows).work_kind(),
        },
        tasks=(name_broken_statistics(kit),),
    )
