"""The model server as a child process: started, configured, watched, started again; spoken to in lines of JSON."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from capstan_inference.actions.ports import Placement
from capstan_inference.settings import Settings
from capstan_servicekit.errors import CapstanError, InvalidData, NotReady, Upstream
from capstan_servicekit.objects import ObjectStore
from capstan_servicekit.settings import inherited_environment
from capstan_servicekit.telemetry import logger

log = logger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.1, 5.0, 30.0
REPLY_S = 60.0
GRACE_S = 4.0
_LINE_LIMIT = 1 << 20
# One row is one thread's work; idle pools of threads only cost memory and tails.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

Wanted = Callable[[], Awaitable[list[Placement]]]


class ChildModelServer:
    """Owns the listening socket, so that connections wait in its backlog while the child is away."""

    def __init__(self, settings: Settings, objects: ObjectStore, wanted: Wanted) -> None:
        self._settings, self._objects, self._wanted = settings, objects, wanted
        self._socket: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._serving: dict[tuple[str, str], Placement] = {}

    @property
    def serving(self) -> dict[tuple[str, str], Placement]:
        """What the child has in memory."""
        return self._serving

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

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def missing(self) -> str | None:
        """For readiness."""
        return None if self._ready.is_set() else "the model server is starting"

    def _listening(self) -> socket.socket:
        if self._socket is None:
            settings = self._settings
            if settings.model_server_fd is not None:
                self._socket = socket.socket(fileno=settings.model_server_fd)
            else:
                address = (settings.model_server_host, settings.model_server_port)
                family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
                self._socket = socket.create_server(address, family=family, backlog=2048)
            self._socket.setblocking(False)
        return self._socket

    async def run(self) -> None:
        """Until cancelled: whenever the child ends, start another one, with back-off."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_S
        try:
            while True:
                started = loop.time()
                try:
                    status = await self._one_life()
                    log.warning("model_server.ended", status=status)
                except (OSError, ValueError) as error:
                    log.error("model_server.not_started", error=str(error))
                self._gone()
                pause = FIRST_PAUSE_S if loop.time() - started > STEADY_S else min(pause * 2, LONGEST_PAUSE_S)
                await asyncio.sleep(pause)
        finally:
            await self._end()

    async def load(self, placement: Placement) -> float:
        """Load, warm and swap in the child."""
        document = await self._document(placement)
        reply = await self._ask({"do": "load", "placement": document})
        self._serving[placement.project, placement.deployment] = placement
        return float(reply["seconds"])

    async def flush(self, project: str, deployment: str) -> None:
        """Seal the open segment."""
        await self._ask({"do": "flush", "project": project, "deployment": deployment})

    async def close(self) -> None:
        """Let go of the socket; the platform's own handle on an inherited one stays open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _document(self, placement: Placement) -> dict[str, Any]:
        path = await self._objects.local_path(placement.project, placement.package)
        return {
            "project": placement.project,
            "deployment": placement.deployment,
            "version": placement.version,
            "revision": placement.revision,
            "package": placement.package,
            "path": str(path),
            **placement.part.to_json(),
        }

    async def _one_life(self) -> int:
        listening = self._listening()
        placements, documents = await self._loadable()
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "capstan_inference", "serve-model"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(listening.fileno(),),
            start_new_session=True,  # a Ctrl-C is for the platform, which ends its parts in order
            limit=_LINE_LIMIT,
            cwd=self._settings.home,
            # One row is one thread's work; idle pools of threads only cost memory and tails.
            env=inherited_environment()
            | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
        await self._say(self._configuration(listening, documents))
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._hear(json.loads(line), placements)
        return await process.wait()

    async def _loadable(self) -> tuple[list[Placement], list[dict[str, Any]]]:
        """What the child should load before it listens, without what the object store does not have."""
        placements, documents = [], []
        for placement in await self._wanted():
            with suppress(CapstanError):
                documents.append(await self._document(placement))
                placements.append(placement)
        return placements, documents

    def _configuration(self, listening: socket.socket, documents: list[dict[str, Any]]) -> dict[str, Any]:
        settings = self._settings
        return {
            "socket_fd": listening.fileno(),
            "spool": str(settings.home / "spool" / "inference"),
            "online": str(settings.home / "online"),
            "principals": str(settings.principals_file),
            "log_level": settings.log_level,
            "limits": {
                "max_body_bytes": settings.model_max_body_bytes,
                "max_rows": settings.model_max_rows,
                "max_waiting": settings.model_max_waiting,
                "deadline_s": settings.model_deadline_s,
                "segment_bytes": settings.segment_bytes,
                "segment_age_s": settings.segment_age_s,
                "grace_s": GRACE_S,
            },
            "placements": documents,
        }

    def _hear(self, message: dict[str, Any], placements: list[Placement]) -> None:
        if "ready" in message:
            refused = {(entry["project"], entry["deployment"]) for entry in message["refused"]}
            self._serving = {
                (one.project, one.deployment): one for one in placements if (one.project, one.deployment) not in refused
            }
            self._ready.set()
            log.info("model_server.ready", pid=message["ready"], models=len(self._serving), refused=len(refused))
            return
        reply = self._replies.pop(message["id"], None)
        if reply is not None and not reply.done():
            reply.set_result(message)

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(REPLY_S):
                await self._ready.wait()
                number = next(self._numbers)
                reply = self._replies[number] = asyncio.get_running_loop().create_future()
                await self._say({"id": number, **command})
                message = await reply
        except (TimeoutError, ConnectionError) as error:
            raise NotReady("the model server does not answer", hint="Try again in a few seconds.") from error
        if "error" in message:
            raise _error(message["error"])
        answer: dict[str, Any] = message["ok"]
        return answer

    async def _say(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise ConnectionError("no model server")
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    def _gone(self) -> None:
        self._ready.clear()
        self._serving = {}
        replies, self._replies = self._replies, {}
        for reply in replies.values():
            if not reply.done():
                reply.set_exception(ConnectionError("the model server ended"))

    async def _end(self) -> None:
        """Its stdin ends: it answers what it has in hand, seals its log and goes."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(GRACE_S + 1):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _error(error: dict[str, Any]) -> CapstanError:
    kind = {"invalid-data": InvalidData, "not-ready": NotReady}.get(error["code"], Upstream)
    return kind(error["detail"])
