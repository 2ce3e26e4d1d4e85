"""The event side: write rows and enqueue work, nothing else."""

from __future__ import annotations

from capstan_contracts.events import DatasetCommitted, Envelope, RetrainRequested
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_training.actions.on_dataset_committed import OnDatasetCommitted
from capstan_training.actions.retrain import Retrain


def subscriptions(retrain: Retrain, commits: OnDatasetCommitted) -> Subscriptions:
    """What training listens to."""

    async def requested(session: WriteSession, envelope: Envelope, event: RetrainRequested) -> None:
        await retrain(session, envelope.project, envelope.source, event)

    async def committed(session: WriteSession, envelope: Envelope, event: DatasetCommitted) -> None:
        await commits(session, envelope.project, event)

    return Subscriptions({RetrainRequested: requested, DatasetCommitted: committed})
