"""The family `capstan.model_servers`: what answers predictions, by the name in the setting `model_servers`."""

from __future__ import annotations

from typing import Final, Protocol

from capstan_contracts.kinds.family import Family
from capstan_inference.actions.flush_servers import FlushServers
from capstan_inference.actions.ports import OwnModelServer
from capstan_inference.settings import MODEL_SERVERS_GROUP, Settings
from capstan_servicekit.runtime import Kit


class ModelServerFactory(Protocol):
    """What an entry point gives. It is called once, when the service is composed, and starts nothing."""

    def __call__(self, kit: Kit, settings: Settings, flush: FlushServers) -> OwnModelServer:
        """The model server on the service's parts. `flush` asks servers that report to the control for their log."""
        ...


MODEL_SERVERS: Final[Family[ModelServerFactory]] = Family(MODEL_SERVERS_GROUP)
