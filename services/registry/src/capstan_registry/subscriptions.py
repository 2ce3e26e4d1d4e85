"""Events that the registry takes: each only enqueues work."""

from __future__ import annotations

from capstan_contracts.events import Envelope, RunFinished, RunStarted
from capstan_registry.actions import register_version, warm_mlflow
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.runtime import Kit


def subscriptions(kit: Kit) -> Subscriptions:
    """Event class -> what to do."""

    async def started(session: WriteSession, envelope: Envelope, event: RunStarted) -> None:
        await warm_mlflow.enqueue(kit, session, envelope.project, event.run)

    async def finished(session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
        await register_version.enqueue(kit, session, envelope.project, event)

    return Subscriptions({RunStarted: started, RunFinished: finished})
