"""The event side: a new dataset version makes the views of the dataset follow."""

from __future__ import annotations

from capstan_contracts.events import DatasetCommitted, Envelope
from capstan_feature_store.actions.queue_materialization import QueueMaterialization
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import WriteSession


def subscriptions(queue: QueueMaterialization, clock: Clock) -> Subscriptions:
    """What this service takes from the bus."""

    async def dataset_committed(session: WriteSession, envelope: Envelope, event: DatasetCommitted) -> None:
        await queue.for_dataset(session, envelope.project, event, now=clock.now())

    return Subscriptions({DatasetCommitted: dataset_committed})
