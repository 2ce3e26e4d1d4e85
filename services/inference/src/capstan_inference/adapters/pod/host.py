"""`python -m capstan_inference serve-pod`: one model server of one placement, in a pod.

It fetches its package from inference control, keeps the data plane running on a socket of its own, and brings the
prediction log away. Told to end, it answers on until the cluster sends nobody here any more, then ships what is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from capstan_inference.actions.ports import Placement
from capstan_inference.adapters import placements
from capstan_inference.adapters.data_plane import DataPlane
from capstan_inference.adapters.pod.control import Control
from capstan_inference.adapters.pod.shipper import Shipper
from capstan_inference.adapters.spool import FolderSpool
from capstan_inference.settings import PodSettings
from capstan_servicekit.errors import CapstanError, InvalidData, NotFound
from capstan_servicekit.http.sockets import listening_socket
from capstan_servicekit.telemetry.logs import configure_logging, logger

log = logger(__name__)
REFUSED, UNAVAILABLE = os.EX_DATAERR, os.EX_UNAVAILABLE
"""Exit codes: the package can never be served; something that is needed is not there."""
_PATIENCE_S, _AGAIN_AFTER_S = 60.0, 0.5


class _End(Exception):
    """The pod cannot serve: an exit code, and the sentence that people and the control read."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class PodHost:
    """Everything of one pod."""

    def __init__(self, settings: PodSettings, placement: Placement, control: Control) -> None:
        self._settings, self._placement, self._control = settings, placement, control
        self._listening = listening_socket(settings.host, settings.port, backlog=2048)
        self._listening.setblocking(False)
        self._spool = settings.home / "spool"
        self._plane = DataPlane(self._configuration, settings.home, self._ready, lambda: None)
        self._shipper = Shipper(control, FolderSpool(self._spool), self._plane, placement)
        self._package = settings.home / "packages" / placement.package
        self._refused = asyncio.Event()
        self._why = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop, or until it turns out that there is nothing to serve: _End."""
        reports = asyncio.create_task(self._shipper.report_each(self._settings.heartbeat_s))
        ships = asyncio.create_task(self._shipper.run())
        try:
            plane = await self._start(stop)
            await _first(stop, self._refused)
            if plane is not None and not self._why:
                await self._drain()
            await _cancel(ships)
            if plane is not None:
                # Whoever still comes is refused a connection, and not left in a queue that nobody will serve.
                self._listening.close()
                await _cancel(plane)
            done = await self._shipper.leave(self._settings.ship_s)
            log.info("pod.ended", drained=done)
        finally:
            await _cancel(reports, ships)
            self._listening.close()
        if self._why:
            raise _End(REFUSED, self._why)

    async def _start(self, stop: asyncio.Event) -> asyncio.Task[None] | None:
        """The running data plane; None where the pod was told to end before there was one."""
        fetch = asyncio.create_task(self._fetch())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({fetch, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await _cancel(stopped)
        if not fetch.done():
            await _cancel(fetch)
            return None
        fetch.result()
        return asyncio.create_task(self._plane.run())

    async def _fetch(self) -> None:
        """The package, from the control or as an earlier container of this pod left it. _End."""
        self._package.parent.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + _PATIENCE_S
        while not self._package.exists():
            try:
                await self._control.package(self._placement.package, self._package)
                log.info("package.fetched")
            except (InvalidData, NotFound) as error:
                raise _End(REFUSED, f"the package cannot be served: {error.detail}") from error
            except (CapstanError, OSError) as error:
                sentence = f"the package cannot be fetched from {self._settings.control_url}: {error}"
                if time.monotonic() > until:
                    raise _End(UNAVAILABLE, sentence) from error
                log.warning("package.not_fetched", error=str(error))
                await asyncio.sleep(_AGAIN_AFTER_S)

    async def _configuration(self) -> dict[str, Any]:
        settings, placement = self._settings, self._placement
        return {
            "socket_fd": self._listening.fileno(),
            "spool": str(self._spool),
            "online": settings.online_store_url.get_secret_value() or str(settings.home / "online"),
            "principals": str(settings.principals_file),
            "log_level": settings.log_level,
            "log_ids": {"project": placement.project, "deployment": placement.deployment, "server": settings.server},
            "limits": settings.limits,
            "placements": [placements.command(placement, self._package)],
            "all_or_nothing": True,
        }

    def _ready(self, message: dict[str, Any]) -> None:
        if message["refused"]:
            self._why = f"the package cannot be served: {message['refused'][0]['detail']}"
            self._refused.set()
            return
        if self._shipper.state == "starting":
            self._shipper.state = "serving"
        log.info("model_server.ready", pid=message["ready"])

    async def _drain(self) -> None:
        """Answer on while the cluster learns that nobody is to be sent here; each answer ends its connection."""
        log.info("pod.draining", seconds=self._settings.drain_s)
        self._shipper.state = "draining"
        with suppress(CapstanError):
            await self._plane.ask({"do": "drain"}, patience_s=self._settings.drain_s)
        await asyncio.sleep(self._settings.drain_s)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(*waits)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(settings: PodSettings, placement: Placement) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if not settings.principals_file.is_file():
        raise _End(UNAVAILABLE, f"refusing to listen on {settings.host} without {settings.principals_file}")
    async with Control(settings.control_url, settings.token_file, placement, settings.server) as control:
        await PodHost(settings, placement, control).run(stop)


def main() -> None:
    """Run; what keeps the pod from serving goes to the log and to the container's termination message."""
    log_file = Path("/dev/termination-log")
    try:
        settings = PodSettings()
        log_file = settings.termination_log
        configure_logging(service="inference", json=True, level=settings.log_level)
        placement = placements.parse(settings.placement)
        structlog.contextvars.bind_contextvars(
            part="model-server-pod",
            project=placement.project,
            deployment=placement.deployment,
            model_version=placement.version,
            server=settings.server,
        )
        asyncio.run(_serve(settings, placement))
    except _End as end:
        log.error("pod.cannot_serve", why=str(end))
        _leave_word(log_file, str(end))
        sys.exit(end.code)
    except (ValidationError, ValueError, OSError) as error:
        sentence = f"the pod cannot start: {error}"
        print(sentence, file=sys.stderr)
        _leave_word(log_file, sentence)
        sys.exit(os.EX_CONFIG)


def _leave_word(file: Path, sentence: str) -> None:
    with suppress(OSError):
        file.write_text(sentence[:2000])
