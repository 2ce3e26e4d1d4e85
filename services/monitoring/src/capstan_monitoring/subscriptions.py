"""The event side: write rows and enqueue work, nothing else."""

from __future__ import annotations

from capstan_contracts.events import (
    DatasetCommitted,
    Envelope,
    GatesDecided,
    PredictionsLogged,
    RunFinished,
    RunStarted,
    VersionPromoted,
)
from capstan_monitoring.actions import follow_retrains
from capstan_monitoring.actions.follow_versions import FollowVersions
from capstan_monitoring.actions.on_dataset_committed import OnDatasetCommitted
from capstan_monitoring.domain.work import SegmentToIngest
from capstan_monitoring.tables import monitor_row
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


def subscriptions(work: WorkQueue, versions: FollowVersions, commits: OnDatasetCommitted) -> Subscriptions:
    """What monitoring listens to."""

    async def logged(session: WriteSession, envelope: Envelope, event: PredictionsLogged) -> None:
        # A deployment has the name of its loop; one of no loop is set aside, to be replayed when the loop is there.
        monitor = await monitor_row(session, envelope.project, event.deployment)
        await work.add(session, SegmentToIngest(monitor.loop, event.segment), project=envelope.project)

    async def finished(session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
        await versions.finished(session, envelope, event)
        await follow_retrains.finished(session, envelope, event)

    return Subscriptions({
        RunStarted: follow_retrains.started,
        RunFinished: finished,
        GatesDecided: follow_retrains.decided,
        VersionPromoted: versions.promoted,
        PredictionsLogged: logged,
        DatasetCommitted: commits,
    })  # fmt: skip
