"""The event side. Ingestion begins the loop, so it listens to nobody."""

from __future__ import annotations

from capstan_servicekit.bus.inbox import Subscriptions


def subscriptions() -> Subscriptions:
    """No event concerns this service."""
    return Subscriptions({})
