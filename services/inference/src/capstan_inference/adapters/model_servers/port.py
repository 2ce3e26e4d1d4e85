"""The port of the family `capstan.model_servers`: what answers predictions, by the setting `model_servers`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from capstan_contracts.kinds.family import Family
from capstan_inference.actions.ports import Flushed, OwnModelServer, Placement
from capstan_inference.settings import MODEL_SERVERS_GROUP, Settings
from capstan_servicekit.objects.port import ObjectStore

Wanted = Callable[[], Awaitable[list[Placement]]]
"""All placements that there should be, by the last decisions of the registry."""
Flush = Callable[[str, str], Awaitable[list[Flushed]]]
"""Asks the servers of a project's deployment that report to the control for their log, and waits for it. NotReady."""


class ModelServerFactory(Protocol):
    """What an entry point gives. It is called once, when the service is composed, and starts nothing."""

    def __call__(self, settings: Settings, objects: ObjectStore, wanted: Wanted, flush: Flush) -> OwnModelServer:
        """The model server on the service's parts."""
        ...


MODEL_SERVERS: Final[Family[ModelServerFactory]] = Family(MODEL_SERVERS_GROUP)
