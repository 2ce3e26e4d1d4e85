"""The event server: the registry's decisions."""

from __future__ import annotations

from capstan_contracts.events import Envelope, VersionPromoted, VersionRegistered
from capstan_inference.actions.follow_registry import FollowRegistry
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession


def subscriptions(follow: FollowRegistry) -> Subscriptions:
    """Rows and work items only."""

    async def registered(session: WriteSession, envelope: Envelope, event: VersionRegistered) -> None:
        await follow.registered(session, envelope.project, event)

    async def promoted(session: WriteSession, envelope: Envelope, event: VersionPromoted) -> None:
        await follow.promoted(session, envelope.project, event)

    return Subscriptions({VersionRegistered: registered, VersionPromoted: promoted})
