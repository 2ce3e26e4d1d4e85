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
from capstan_monitoring.actions.follow_retrains import FollowRetrains
from capstan_monitoring.actions.follow_versions import FollowVersions
from capstan_monitoring.actions.on_dataset_committed import OnDatasetCommitted
from capstan_monitoring.actions.on_predictions_logged import OnPredictionsLogged
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession


def subscriptions(
    versions: FollowVersions, retrains: FollowRetrains, commits: OnDatasetCommitted, logged: OnPredictionsLogged
) -> Subscriptions:
    """What monitoring listens to."""

    async def finished(session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
        await versions.finished(session, envelope, event)
        await retrains.finished(session, envelope, event)

    return Subscriptions({
        RunStarted: retrains.started,
        RunFinished: finished,
        GatesDecided: retrains.decided,
        VersionPromoted: versions.promoted,
        PredictionsLogged: logged,
        DatasetCommitted: commits,
    })  # fmt: skip
