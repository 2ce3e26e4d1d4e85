"""The whole platform as one object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import same_process
from capstan_client.sdk.clients import (
    FeatureStore,
    Inference,
    Ingestion,
    ModelServer,
    Monitoring,
    Registry,
    ServiceClient,
    Training,
)
from capstan_client.sdk.transport import Transport, Unreachable, http_client
from capstan_client.settings import chosen_token, home_folder
from capstan_contracts.ids import SERVICES


class Capstan:
    """Clients of the six services and the model server, for one project."""

    def __init__(
        self,
        urls: dict[str, str],
        model_server: str | Callable[[str], str],
        token: str,
        *,
        project: str = "default",
    ) -> None:
        """`model_server`: one base address, or a function from `project/deployment` to each one's own."""
        self._client = http_client()
        self.project, self.urls, self.token = project, urls, token

        def reach(service: str) -> Transport:
            return Transport(self._client, urls[service], project, token)

        self.ingestion = Ingestion(reach("ingestion"))
        self.features = FeatureStore(reach("feature-store"))
        self.training = Training(reach("training"))
        self.registry = Registry(reach("registry"))
        self.inference = Inference(reach("inference"))
        self.monitoring = Monitoring(reach("monitoring"))
        self.model_server = ModelServer(
            (lambda _: model_server) if isinstance(model_server, str) else model_server,
            lambda base: Transport(self._client, base, project, token),
            project,
        )

    @classmethod
    def connect(cls, home: Path | None = None, *, project: str = "default", token: str | None = None) -> Self:
        """The platform of this machine, with the token that its first start made. Unreachable when none runs."""
        place = Home(home or home_folder())
        record = running_record(place)
        token = token or chosen_token() or _own_token(place)
        return cls(record.services, _model_servers(place, record), token, project=project)

    def service(self, name: str) -> ServiceClient:
        """The client of a service by its name."""
        clients = (
            self.ingestion, self.features, self.training, self.registry, self.inference, self.monitoring,
        )  # fmt: skip
        return dict(zip(SERVICES, clients, strict=True))[name]

    async def __aenter__(self) -> Self:
        """Use as a context manager."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close connections."""
        await self._client.aclose()


def _model_servers(home: Home, record: Record) -> str | Callable[[str], str]:
    """On a laptop one server answers for all; on a cluster each deployment has its own, and they come and go."""
    if not record.cluster:
        return record.model_server

    def find(name: str) -> str:
        servers = running_record(home).model_servers
        if name not in servers:
            served = ", ".join(sorted(servers)) or "none"
            raise Unreachable(f"No model server for {name} is known (there are: {served}). Does a version serve yet?")
        return servers[name]

    return find


def running_record(home: Home) -> Record:
    """What runs on this machine; Unreachable says how to start it."""
    record = home.record()
    if record is None or record.state not in ("ready", "starting"):
        raise Unreachable(f"No platform runs in {home.folder}. Start it with `capstan up -d`.")
    if not same_process(record.supervisor, record.supervisor_started):
        again = "Connect again with `capstan connect`." if record.cluster else "Start it again with `capstan up -d`."
        raise Unreachable(f"The platform of {home.folder} has ended without being stopped. {again}")
    return record


def _own_token(home: Home) -> str:
    try:
        return home.token_file.read_text().strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreachable(
            f"The token {home.token_file} cannot be read ({reason}). Give one: CAPSTAN_TOKEN=..."
        ) from None
