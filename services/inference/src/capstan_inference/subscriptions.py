"""The event server: the registry's decisions."""

from __future__ import annotations

from capstan_contracts.events import Envelope, VersionPromoted, VersionRegistered
from capstan_inference.actions.note_registry import note_promotion, note_version
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


def subscriptions(work: WorkQueue) -> Subscriptions:
    """Rows and work items only."""

    async def registered(session: WriteSession, envelope: Envelope, event: VersionRegistered) -> None:
        await note_version(session, envelope.project, event)

    async def promoted(session: WriteSession, envelope: Envelope, event: VersionPromoted) -> None:
        await note_promotion(session, work, envelope.project, event)

    return Subscriptions({VersionRegistered: registered, VersionPromoted: promoted})
