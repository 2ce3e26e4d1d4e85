"""Runs job functions in warm worker processes: recycled, memory-capped, timed, cancellable, gone when idle."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capstan_contracts.errors import Code, FieldError
from capstan_servicekit.errors import InvalidData, Overloaded
from capstan_servicekit.jobs.api import Given, JobKind, Made, fields_of
from capstan_servicekit.settings import inherited_environment
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.trace import traceparent

log = logger(__name__)
ProgressReport = Callable[[int, int, str], Awaitable[None]]
_LINE_LIMIT = 64 << 20


class JobFailed(Exception):
    """The job raised or its worker died; may succeed when tried again."""


class JobTimedOut(JobFailed):
    """The job ran past its limit."""


class JobOutOfMemory(JobFailed):
    """The job's processes held more memory than they may."""


@dataclass
class _Worker:
    process: asyncio.subprocess.Process
    jobs: int = 0
    idle_since: float = field(default=0.0)

    async def call(self, request: dict[str, Any], progress: ProgressReport | None) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        await self.process.stdin.drain()
        while line := await self.process.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            if "progress" in message:
                if progress is not None:
                    told = message["progress"]
                    await progress(told["done"], told["total"], told["message"])
            elif "ready" not in message:
                return message
        raise JobFailed(f"the worker ended with status {await self.process.wait()}")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class JobPool:
    """One warm worker per group (a call waits for it); groups run side by side."""

    def __init__(
        self,
        pythons: dict[str, str],
        scratch: Path,
        *,
        memory_mb: int = 4096,
        idle_s: float = 30,
        recycle_after: int = 50,
    ) -> None:
        self._pythons, self._scratch = pythons, scratch
        self._memory_mb, self._idle_s, self._recycle_after = memory_mb, idle_s, recycle_after
        self._workers: dict[str, _Worker] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._reaper: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[int]] = set()

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """A folder for one job's files, removed afterwards."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def run(
        self,
        group: str,
        function: str,
        input_: dict[str, Any],
        *,
        scratch: Path,
        timeout_s: float = 600,
        progress: ProgressReport | None = None,
        memory_mb: int | None = None,
    ) -> dict[str, Any]:
        """Run `module:function` in the environment of `group`; its JSON result.

        InvalidData when the job refuses its input; JobFailed (JobTimedOut, JobOutOfMemory) otherwise. When the caller
        is cancelled the worker and all its children are killed.
        """
        async with self._locks.setdefault(group, asyncio.Lock()):
            worker = await self._worker(group)
            request = {"function": function, "input": input_, "scratch": str(scratch), "traceparent": traceparent()}
            watch = asyncio.create_task(self._watch_memory(worker, (memory_mb or self._memory_mb) << 20))
            try:
                async with asyncio.timeout(timeout_s):
                    message = await worker.call(request, progress)
            except TimeoutError as error:
                self._discard(group, worker)
                raise JobTimedOut(f"{function} ran longer than {timeout_s:g} s") from error
            except JobFailed as error:
                self._discard(group, worker)
                if watch.done() and not watch.cancelled() and watch.result():
                    raise JobOutOfMemory(f"{function} held more than {memory_mb or self._memory_mb} MB") from error
                raise
            except BaseException:
                self._discard(group, worker)
                raise
            finally:
                watch.cancel()
            self._after(group, worker)
            return self._result(function, message)

    async def call(
        self,
        job: JobKind[Given, Made],
        given: Given,
        *,
        scratch: Path,
        timeout_s: float = 600,
        progress: ProgressReport | None = None,
        memory_mb: int | None = None,
    ) -> Made:
        """`run`, with the job's own types at both ends."""
        made = await self.run(
            job.group,
            job.function,
            fields_of(given),
            scratch=scratch,
            timeout_s=timeout_s,
            progress=progress,
            memory_mb=memory_mb,
        )
        return job.made(**made)

    @staticmethod
    def _result(function: str, message: dict[str, Any]) -> dict[str, Any]:
        if "result" in message:
            result: dict[str, Any] = message["result"] or {}
            return result
        if "refused" in message:
            refused = message["refused"]
            raise InvalidData(
                refused["detail"],
                errors=[FieldError(place=place, rule=rule) for place, rule in refused["errors"]],
                code=Code(refused["code"]) if refused["code"] in set(Code) else None,
            )
        failed = message["failed"]
        log.warning("job.failed", function=function, summary=failed["summary"], traceback=failed["traceback"])
        raise JobFailed(failed["summary"])

    async def _worker(self, group: str) -> _Worker:
        worker = self._workers.get(group)
        if worker is None or worker.process.returncode is not None:
            python = self._pythons.get(group, sys.executable)
            if not await asyncio.to_thread(Path(python).exists):
                raise Overloaded(
                    f"the environment of the job group {group!r} is not installed",
                    hint="Run `make setup`, or set CAPSTAN_JOB_PYTHONS to its interpreter.",
                )
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    python,
                    "-u",
                    "-m",
                    "capstan_servicekit.jobs.host",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    start_new_session=True,
                    limit=_LINE_LIMIT,
                    env=inherited_environment() | {"PYTHONWARNINGS": "ignore", "CAPSTAN_JOB_GROUP": group},
                )
            )
            try:
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:  # the call is over, but a half-started worker would stay for ever
                self._end(_never_wanted(starting))
                raise
            worker = self._workers[group] = _Worker(process)
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.create_task(self._reap())
        return worker

    def _after(self, group: str, worker: _Worker) -> None:
        worker.jobs += 1
        worker.idle_since = asyncio.get_running_loop().time()
        if worker.jobs >= self._recycle_after:
            self._discard(group, worker)

    def _discard(self, group: str, worker: _Worker) -> None:
        """Kill it; `close` waits until it is gone."""
        worker.kill()
        self._end(worker.process.wait())
        if self._workers.get(group) is worker:
            del self._workers[group]

    def _end(self, ending: Coroutine[Any, Any, int]) -> None:
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _reap(self) -> None:
        """End workers that were idle for long enough."""
        while self._workers:
            await asyncio.sleep(min(self._idle_s, 5))
            now = asyncio.get_running_loop().time()
            for group, worker in list(self._workers.items()):
                if not self._locks[group].locked() and now - worker.idle_since >= self._idle_s:
                    self._discard(group, worker)

    @staticmethod
    async def _watch_memory(worker: _Worker, limit: int) -> bool:
        """True after the group was killed for its memory. Needs /proc; elsewhere it never ends."""
        while True:
            await asyncio.sleep(0.5)
            held = await asyncio.to_thread(_group_memory, worker.process.pid)
            if held > limit:
                worker.kill()
                return True

    async def close(self) -> None:
        """Kill all workers, and wait for those that were killed before, too."""
        if self._reaper is not None:
            self._reaper.cancel()
        for group, worker in list(self._workers.items()):
            self._discard(group, worker)
        await asyncio.gather(*self._ending)


async def _never_wanted(starting: asyncio.Future[asyncio.subprocess.Process]) -> int:
    worker = _Worker(await starting)
    worker.kill()
    return await worker.process.wait()


def _group_memory(group: int) -> int:
    """Resident bytes of a process group."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group:
                total += int(fields[21]) * page
    return total
