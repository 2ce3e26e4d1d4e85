"""Keeps the way to a release open: found once, forwarded for as long as this process lives, new model servers too."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import httpx

from capstan_client.cluster.forward import Forward
from capstan_client.cluster.kubectl import ClusterError, Endpoint, Kubectl, Target
from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import started_at
from capstan_client.settings import chosen_token
from capstan_contracts.ids import SERVICES
from capstan_servicekit.security.auth import write_secret
from capstan_servicekit.settings import LOCAL_PORTS

READY_LIMIT_S = 60.0
LOOK_EVERY_S = 1.0


class Via(StrEnum):
    """How this machine reaches Services."""

    FORWARD = "forward"
    SERVICE = "service"


@dataclass
class Connector:
    """Writes the same record as a local platform, so that every command and the SDK work unchanged."""

    target: Target
    home: Home
    via: Via = Via.FORWARD
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _forwards: dict[str, Forward] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._kubectl = Kubectl(self.target)
        self._record = Record(
            "starting",
            os.getpid(),
            started_at(os.getpid()) or 0.0,
            cluster={
                "context": self.target.context,
                "namespace": self.target.namespace,
                "release": self.target.release,
                "via": self.via.value,
            },
        )

    async def run(self) -> None:
        """Until SIGINT or SIGTERM. ClusterError when the release is not there."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self.home.path("run").mkdir(parents=True, exist_ok=True)
        self.home.write_record(self._record)
        try:
            await self._open()
            self._say()
            watch = asyncio.create_task(self._follow_model_servers())
            await stop.wait()
            watch.cancel()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._record.state = "stopped"
            self.home.write_record(self._record)

    async def _open(self) -> None:
        parts = await self._kubectl.parts()
        missing = [name for name in SERVICES if name not in parts]
        if missing:
            raise ClusterError(
                f"There is no {self.target} (no Service of {', '.join(missing)}). "
                "Install it with `make deploy`, or name it: --context, --namespace, --release."
            )
        write_secret(self.home.token_file, chosen_token() or await self._kubectl.token())
        self._record.services = {name: self._reach(parts[name], LOCAL_PORTS[name]) for name in SERVICES}
        await self._until_they_answer()
        self._record.model_servers = await self._reach_model_servers()
        self._record.state = "ready"
        self.home.write_record(self._record)

    def _reach(self, endpoint: Endpoint, wanted_port: int = 0) -> str:
        """The address of an endpoint from here; a forward is started for it when that is the way."""
        if self.via is Via.SERVICE:
            return f"http://{endpoint.address}:{endpoint.port}"
        if endpoint.service not in self._forwards:
            forward = self._forwards[endpoint.service] = Forward(self._kubectl, endpoint, wanted_port)
            self._tasks[endpoint.service] = asyncio.create_task(forward.run(), name=endpoint.service)
        return self._forwards[endpoint.service].url

    async def _reach_model_servers(self) -> dict[str, str]:
        return {name: self._reach(endpoint) for name, endpoint in (await self._kubectl.model_servers()).items()}

    async def _follow_model_servers(self) -> None:
        """Loops come and go while we are connected."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(ClusterError):
                servers = await self._reach_model_servers()
                if servers != self._record.model_servers:
                    self._record.model_servers = servers
                    self.home.write_record(self._record)

    async def _until_they_answer(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_LIMIT_S
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for name, url in self._record.services.items():
                while not await _answers(client, url):
                    if asyncio.get_running_loop().time() > deadline:
                        raise ClusterError(self._silent(name, url))
                    await asyncio.sleep(0.1)

    def _silent(self, name: str, url: str) -> str:
        forward = next((candidate for candidate in self._forwards.values() if candidate.url == url), None)
        said = f" kubectl says: {forward.said}" if forward is not None and forward.said else ""
        return (
            f"{name} does not answer at {url}.{said} Look with: "
            f"kubectl --context {self.target.context} -n {self.target.namespace} get pods"
        )

    def _say(self) -> None:
        print(f"connected to {self.target}")
        for name, url in (self._record.services | self._record.model_servers).items():
            print(f"  {name:<24} {url}")
        sys.stdout.flush()


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/healthz")).is_success
    except httpx.TransportError:
        return False


def connect(target: Target, folder: Path, via: Via) -> int:
    """Keep the connection open; the exit status."""
    try:
        asyncio.run(Connector(target, Home(folder), via).run())
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
