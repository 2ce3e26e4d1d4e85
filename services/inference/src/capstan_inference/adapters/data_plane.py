"""The data plane as a child process: started, configured, watched, started again; spoken to in lines of JSON.

Both that own one use this: inference control on a laptop, and the host in a model server's pod.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capstan_servicekit.busy import Activity
from capstan_servicekit.errors import CapstanError, InvalidData, NotReady, Upstream
from capstan_servicekit.settings import inherited_environment
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.1, 5.0, 30.0
REPLY_S = 60.0
GRACE_S = 4.0
_LINE_LIMIT = 1 << 20
# One row is one thread's work; idle pools of threads only cost memory and tails.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

Configure = Callable[[], Awaitable[dict[str, Any]]]
"""Makes the configuration of one life of the process (`dataplane/config.py`); `socket_fd` is handed down."""


@dataclass(frozen=True)
class Patience:
    """Seconds: between two questions and for an answer to each, until a silent process that does nothing is ended,
    until one that is busy is. It answers in milliseconds; a loaded machine delays that, and such a process is busy.
    """

    every_s: float = 1.0
    silent_s: float = 5.0
    busy_s: float = 60.0


class DataPlane:
    """One process at a time. `on_ready` gets its first message, `on_gone` is called when it has ended."""

    def __init__(
        self,
        configure: Configure,
        cwd: Path,
        on_ready: Callable[[dict[str, Any]], None],
        on_gone: Callable[[], None],
        patience: Patience = Patience(),
    ) -> None:
        self._patience = patience
        self._configure, self._cwd, self._on_ready, self._on_gone = configure, cwd, on_ready, on_gone
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.ready = asyncio.Event()
        self.answers = True
        """Whether it has answered the last question in time."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> None:
        """Until cancelled: whenever the process ends, start another one, with back-off. Ends it in good order."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_S
        watch = asyncio.create_task(self._end_when_hung())
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
            watch.cancel()
            await self._end()

    async def _end_when_hung(self) -> None:
        """Ask for its status again and again; end the process when it is silent and does nothing, or for too long."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while True:
            await asyncio.sleep(self._patience.every_s)
            process = self._process
            if process is None or process.returncode is not None or not self.ready.is_set():
                answered = loop.time()
                continue
            activity = Activity(process.pid)
            if await self._status_comes():
                answered = loop.time()
                continue
            silent, hung = loop.time() - answered, activity.waits()
            if process is self._process and (hung or silent >= self._patience.busy_s):
                log.error("model_server.hung", pid=process.pid, silent_s=round(silent, 1), does_nothing=hung)
                with suppress(ProcessLookupError):
                    process.kill()

    async def _status_comes(self) -> bool:
        """Whether it answers before it counts as silent; `answers` says meanwhile that it is late."""
        asking = asyncio.create_task(self.ask({"do": "status"}, self._patience.silent_s))
        try:
            done, _ = await asyncio.wait([asking], timeout=self._patience.every_s)
            self.answers = bool(done)
            await asking
        except NotReady:
            self.answers = False
            return False
        except CapstanError:
            pass  # an answer, too
        finally:
            asking.cancel()
        self.answers = True
        return True

    async def ask(self, command: dict[str, Any], patience_s: float = REPLY_S) -> dict[str, Any]:
        """The answer to a command, once the process is ready. NotReady; InvalidData where a package is refused."""
        number = next(self._numbers)
        try:
            async with asyncio.timeout(patience_s):
                await self.ready.wait()
                reply = self._replies[number] = asyncio.get_running_loop().create_future()
                await self._say({"id": number, **command})
                message = await reply
        except (TimeoutError, ConnectionError) as error:
            raise NotReady("the model server does not answer", hint="Try again in a few seconds.") from error
        finally:
            self._replies.pop(number, None)  # whoever gives up waiting leaves nothing behind
        if "error" in message:
            raise _error(message["error"])
        answer: dict[str, Any] = message["ok"]
        return answer

    async def _one_life(self) -> int:
        configuration = await self._configure()
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "capstan_inference", "serve-model"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(configuration["socket_fd"],),
            start_new_session=True,  # a Ctrl-C is for the platform, which ends its parts in order
            limit=_LINE_LIMIT,
            cwd=self._cwd,
            env=inherited_environment() | _ONE_THREAD,
        )
        await self._say(configuration)
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._hear(json.loads(line))
        return await process.wait()

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._on_ready(message)
            self.ready.set()
            return
        reply = self._replies.pop(message["id"], None)
        if reply is not None and not reply.done():
            reply.set_result(message)

    async def _say(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise ConnectionError("no model server")
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    def _gone(self) -> None:
        self.ready.clear()
        self.answers = True
        self._on_gone()
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
