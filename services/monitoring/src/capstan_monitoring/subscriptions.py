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
from capstan_monitoring.actions.close_windows import INGEST, ingest_key
from capstan_monitoring.actions.find_monitor import monitor_row
from capstan_monitoring.actions.follow_versions import FollowVersions
from capstan_monitoring.actions.note_commit import NoteCommit
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.runtime import Kit


def subscriptions(kit: Kit, versions: FollowVersions, commits: NoteCommit) -> Subscriptions:
    """What monitoring listens to."""

    async def logged(session: WriteSession, envelope: Envelope, event: PredictionsLogged) -> None:
        # A deployment has the name of its loop; one of no loop is set aside, to be replayed when the loop is there.
        monitor = await monitor_row(session, envelope.project, event.deployment)
        payload = {"loop": monitor.loop, "segment": event.segment}
        await kit.work.add(
            session, INGEST, key=ingest_key(monitor.loop, event.segment), project=envelope.project, payload=payload
        )

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
