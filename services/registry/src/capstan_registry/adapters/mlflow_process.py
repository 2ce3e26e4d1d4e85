"""MLflow's server on a laptop: started when it is needed, once for all who wait, stopped when nobody came for a while.

It listens on a Unix socket in a folder that only its owner can enter: MLflow has no authentication of its own, so
nobody may go round the proxy. A server that outlived its registry is found by its process group and ended at the next
start.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from capstan_registry.adapters import mlflow_guard
from capstan_registry.settings import Settings, mlflow_environment
from capstan_servicekit.errors import NotReady
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
PREFIX = "/mlflow"
SOCKET_PATH_LIMIT = 100
"""Bytes that a socket's path may have everywhere (macOS allows 104)."""


def job_python(settings: Settings) -> str:
    """The interpreter that has MLflow."""
    return settings.job_pythons.get("registry", sys.executable)


def server_command(python: str, socket: Path) -> list[str]:
    """MLflow's server with one worker; where it keeps its things is in its environment."""
    server = [python, "-m", "mlflow", "server", "--workers", "1", "--static-prefix", PREFIX]
    return [*server, "--uvicorn-opts", f"--uds '{socket}' --log-level warning"]


class MlflowProcess:
    """At most one server; `using` gives a client that reaches it."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._home = settings, settings.mlflow_home
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None
        self._users, self._last_use = 0, 0.0
        self.starts = 0
        self._short_folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def running(self) -> bool:
        """Whether the server process is there."""
        return self._process is not None and self._process.returncode is None

    @asynccontextmanager
    async def using(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client whose base is the server; starts it when it is not there. NotReady."""
        self._users += 1
        try:
            if not self._settings.mlflow_url and not self.running:
                if self._starting is None or self._starting.done():
                    self._starting = asyncio.create_task(self._start())
                # Shielded: whoever goes away must not end the start that others wait for.
                await asyncio.shield(self._starting)
            elif self._starting is not None and not self._starting.done():
                await asyncio.shield(self._starting)
            yield self._reach()
        finally:
            self._users -= 1
            self._last_use = asyncio.get_running_loop().time()

    def _reach(self) -> httpx.AsyncClient:
        if self._client is None:
            url = self._settings.mlflow_url
            uds = url.removeprefix("unix://") if url.startswith("unix://") else str(self._socket()) if not url else None
            transport = httpx.AsyncHTTPTransport(uds=uds)
            base = "http://localhost" if uds else url.rstrip("/")
            self._client = httpx.AsyncClient(
                transport=transport, base_url=base, timeout=httpx.Timeout(60, connect=5), trust_env=False
            )
        return self._client

    def _socket(self) -> Path:
        folder = self._home / "run"
        if len(str(folder)) > SOCKET_PATH_LIMIT - len("/mlflow.sock"):
            self._short_folder = self._short_folder or tempfile.TemporaryDirectory(prefix="capstan-")
            folder = Path(self._short_folder.name)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / "mlflow.sock"

    async def _start(self) -> None:
        python = job_python(self._settings)
        self.starts += 1
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(self._end_leftover)
        command = [python, mlflow_guard.__file__, *server_command(python, self._socket())]
        with (self._home / "server.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=mlflow_environment(self._settings),
            )
        (self._home / "server.pid").write_text(str(self._process.pid))
        log.info("mlflow.starting", pid=self._process.pid)
        try:
            await self._until_healthy()
        except BaseException:
            await self._stop_process()
            raise
        log.info("mlflow.ready", pid=self._process.pid)

    async def _until_healthy(self) -> None:
        assert self._process is not None
        deadline = asyncio.get_running_loop().time() + self._settings.mlflow_start_s
        while asyncio.get_running_loop().time() < deadline:
            if self._process.returncode is not None:
                raise NotReady(
                    f"MLflow's server ended at its start with status {self._process.returncode}",
                    hint="Its log is mlflow/server.log in the home folder; `make setup` installs its environment.",
                )
            with suppress(httpx.TransportError):
                if (await self._reach().get(f"{PREFIX}/health", timeout=5)).is_success:
                    return
            await asyncio.sleep(0.2)
        raise NotReady(f"MLflow's server did not answer within {self._settings.mlflow_start_s:g} s")

    def _end_leftover(self) -> None:
        """End the processes of a server whose registry was killed and whose guard was killed with it."""
        with suppress(OSError, ValueError):
            group = int((self._home / "server.pid").read_text())
            if any(str(self._home).encode() in command for command in _group_commands(group)):
                log.warning("mlflow.leftover_ended", group=group)
                os.killpg(group, signal.SIGKILL)
        with suppress(OSError):
            self._socket().unlink()

    def idle_stopper(self) -> Callable[[], Awaitable[None]]:
        """The background task that stops an unused server."""

        async def run() -> None:
            pause = min(self._settings.mlflow_idle_s / 4, 15)
            while True:
                await asyncio.sleep(pause)
                idle = asyncio.get_running_loop().time() - self._last_use
                if self.running and not self._users and idle >= self._settings.mlflow_idle_s:
                    log.info("mlflow.idle")
                    await self._stop_process()

        return run

    async def close(self) -> None:
        """Stop the server and forget the connections."""
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._stop_process()
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        if self._short_folder is not None:
            self._short_folder.cleanup()

    async def _stop_process(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(mlflow_guard.GRACE_S + 4):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _group_commands(group: int) -> list[bytes]:
    """Command lines of a process group. Needs /proc; elsewhere the guard alone has to do."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group:
                lines.append((entry / "cmdline").read_bytes())
    return lines
