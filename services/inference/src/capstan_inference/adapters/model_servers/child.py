"""The model server as a child process of inference control, which hands it every model."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from capstan_inference.actions.ports import Address, Flushed, Placement, ReplicaStatus
from capstan_inference.adapters.data_plane import DataPlane, Patience
from capstan_inference.adapters.model_servers.port import Flush, Wanted
from capstan_inference.adapters.placements import command, limits
from capstan_inference.settings import Settings
from capstan_servicekit.errors import CapstanError
from capstan_servicekit.http.sockets import listening_socket
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)


def make(settings: Settings, objects: ObjectStore, wanted: Wanted, flush: Flush) -> ChildModelServer:
    """One process for all deployments; its log lies in the spool of this machine, so nobody has to be asked for it."""
    return ChildModelServer(settings, objects, wanted)


class ChildModelServer:
    """Owns the listening socket, so that connections wait in its backlog while the child is away."""

    def __init__(self, settings: Settings, objects: ObjectStore, wanted: Wanted) -> None:
        self._settings, self._objects, self._wanted = settings, objects, wanted
        self._socket: socket.socket | None = None
        self._plane = DataPlane(
            self._configuration,
            settings.home,
            self._ready,
            self._gone,
            Patience(settings.model_probe_s, settings.model_silent_limit_s, settings.model_busy_limit_s),
        )
        self._given: list[Placement] = []
        self._serving: dict[tuple[str, str], Placement] = {}
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def serving(self) -> Mapping[tuple[str, str], Placement]:
        """What the child has in memory."""
        return self._serving

    @property
    def replica_status(self) -> Mapping[tuple[str, str], ReplicaStatus]:
        """One process serves all, and readiness tells of it."""
        return {}

    @property
    def servers(self) -> frozenset[str]:
        """None that reports: its log lies in the spool of this machine."""
        return frozenset()

    @property
    def url(self) -> str:
        """Base address for clients."""
        if self._settings.model_server_url:
            return self._settings.model_server_url.rstrip("/")
        if self._socket is not None:
            host, port = self._socket.getsockname()[:2]
        else:
            host, port = self._settings.model_server_host, self._settings.model_server_port
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def address(self, project: str, deployment: str) -> Address:
        """The same for all deployments."""
        return Address(self.url)

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._plane.pid

    async def missing(self) -> str | None:
        """For readiness."""
        if not self._plane.ready.is_set():
            return "the model server is starting"
        return None if self._plane.answers else "the model server does not answer; it is ended if it stays silent"

    async def run(self) -> None:
        """Until cancelled: whenever the child ends, start another one."""
        await self._plane.run()

    async def load(self, placement: Placement) -> float:
        """Load, warm and swap in the child."""
        key = (placement.project, placement.deployment)
        async with self._locks[key]:
            serving = self._serving.get(key)
            if serving is not None and serving.revision > placement.revision:
                return 0.0
            reply = await self._plane.ask({"do": "load", "placement": await self._document(placement)})
            self._serving[key] = placement
            return float(reply["seconds"])

    async def flush(self, project: str, deployment: str) -> list[Flushed]:
        """Seal the open segment; it is shipped from the spool."""
        await self._plane.ask({"do": "flush", "project": project, "deployment": deployment})
        return []

    async def close(self) -> None:
        """Let go of the socket; the platform's own handle on an inherited one stays open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _listening(self) -> socket.socket:
        if self._socket is None:
            settings = self._settings
            if settings.model_server_fd is not None:
                self._socket = socket.socket(fileno=settings.model_server_fd)
            else:
                host, port = settings.model_server_host, settings.model_server_port
                self._socket = listening_socket(host, port, backlog=2048)
            self._socket.setblocking(False)
        return self._socket

    async def _document(self, placement: Placement) -> dict[str, Any]:
        return command(placement, await self._objects.local_path(placement.project, placement.package))

    async def _loadable(self) -> tuple[list[Placement], list[dict[str, Any]], list[tuple[str, str, str]]]:
        """What the child should load before it listens, and what the object store does not have, with the reason."""
        placements, documents, missing = [], [], []
        for placement in await self._wanted():
            try:
                documents.append(await self._document(placement))
            except CapstanError as error:
                missing.append(
                    (placement.project, placement.deployment, f"version {placement.version}: {error.detail}")
                )
            else:
                placements.append(placement)
        return placements, documents, missing

    async def _configuration(self) -> dict[str, Any]:
        settings = self._settings
        self._given, documents, missing = await self._loadable()
        return {
            "socket_fd": self._listening().fileno(),
            "spool": str(settings.home / "spool" / "inference"),
            "online": settings.online_store_url.get_secret_value() or str(settings.home / "online"),
            "principals": str(settings.principals_file),
            "log_level": settings.log_level,
            "limits": limits(settings, settings.segment_age_s),
            "placements": documents,
            "missing": missing,
        }

    def _ready(self, message: dict[str, Any]) -> None:
        refused = {(entry["project"], entry["deployment"]) for entry in message["refused"]}
        given = {(placement.project, placement.deployment): placement for placement in self._given}
        self._serving = {key: placement for key, placement in given.items() if key not in refused}
        log.info("model_server.ready", pid=message["ready"], models=len(self._serving), refused=len(refused))

    def _gone(self) -> None:
        self._serving = {}
