"""Runs job functions in warm worker processes: recycled, memory-capped, timed, cancellable, gone when idle."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capstan_contracts.errors import Code, FieldError
from capstan_servicekit.errors import InvalidData, Overloaded
from capstan_servicekit.jobs.api import Given, JobKind, Made, fields_of
from capstan_servicekit.jobs.box.spec import MOST_PROCESSES, Limits
from capstan_servicekit.jobs.messages import OUT_OF_MEMORY, Message
from capstan_servicekit.jobs.turns import Turns
from capstan_servicekit.jobs.worker import (
    Bounds,
    JobFailed,
    JobOutOfMemory,
    JobOverQuota,
    JobTimedOut,
    ProgressReport,
    Worker,
    end_when_started,
)
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.trace import traceparent

log = logger(__name__)
SIDE_BY_SIDE = max(2, min(4, os.cpu_count() or 1))
"""Workers of a group that run at once, each for another project."""

__all__ = ["JobFailed", "JobOutOfMemory", "JobOverQuota", "JobPool", "JobTimedOut", "ProgressReport"]


class JobPool:
    """Warm workers per group: one of each project at a time, and as many as `side_by_side` when several wait.

    A call waits for its project's turn (`Turns`). A worker serves whatever project is next: a job leaves nothing in it.
    """

    def __init__(
        self,
        pythons: dict[str, str],
        scratch: Path,
        *,
        memory_mb: int = 4096,
        scratch_mb: int = 16384,
        idle_s: float = 30,
        recycle_after: int = 50,
        side_by_side: int = SIDE_BY_SIDE,
    ) -> None:
        self._pythons, self._scratch = pythons, scratch
        self._memory_mb, self._scratch_mb = memory_mb, scratch_mb
        self._idle_s, self._recycle_after, self._side_by_side = idle_s, recycle_after, side_by_side
        self._turns: dict[str, Turns] = {}
        self._idle: dict[str, list[Worker]] = {}
        self._busy: set[Worker] = set()
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

    @property
    def at_work(self) -> frozenset[Worker]:
        """Workers that have a job now."""
        return frozenset(self._busy)

    async def run(
        self,
        group: str,
        function: str,
        input_: dict[str, Any],
        *,
        project: str,
        scratch: Path,
        readable: Iterable[Path | str] = (),
        writable: Iterable[Path | str] = (),
        timeout_s: float = 600,
        progress: ProgressReport | None = None,
        memory_mb: int | None = None,
    ) -> dict[str, Any]:
        """Run `module:function` in the environment of `group`, in a box; its JSON result.

        The job reaches `scratch`, where it may write, `readable` and `writable`, and nothing else of this machine.
        InvalidData when the job refuses its input; JobFailed (JobTimedOut, JobOutOfMemory, JobOverQuota) otherwise.
        When the call ends, however it does, no process of the job is left.
        """
        folders = [Path(path) for path in writable]
        await asyncio.to_thread(_make_folders, folders)
        memory_mb = memory_mb or self._memory_mb
        quota = self._scratch_mb << 20
        request = {
            "function": function,
            "input": input_,
            "scratch": str(scratch),
            "readable": [str(path) for path in readable],
            "writable": [str(folder) for folder in folders],
            "limits": asdict(Limits.of_job(memory_mb, timeout_s, quota)),
            "traceparent": traceparent(),
        }
        async with self._turns.setdefault(group, Turns(self._side_by_side)).turn(project):
            worker = await self._take(group)
            watch = asyncio.create_task(worker.watch(str(scratch), Bounds(memory_mb << 20, MOST_PROCESSES, quota)))
            try:
                async with asyncio.timeout(timeout_s):
                    message = await worker.call(request, progress)
            except TimeoutError as error:
                self._discard(worker)
                raise JobTimedOut(f"{function} ran longer than {timeout_s:g} s") from error
            except JobFailed as error:
                self._discard(worker)
                if watch.done() and not watch.cancelled():
                    raise watch.result() from error
                raise
            except BaseException:
                self._discard(worker)
                raise
            finally:
                watch.cancel()
            self._give_back(group, worker)
            return self._result(function, message)

    async def call(
        self,
        job: JobKind[Given, Made],
        given: Given,
        *,
        project: str,
        scratch: Path,
        readable: Iterable[Path | str] = (),
        writable: Iterable[Path | str] = (),
        timeout_s: float = 600,
        progress: ProgressReport | None = None,
        memory_mb: int | None = None,
    ) -> Made:
        """`run`, with the job's own types at both ends."""
        made = await self.run(
            job.group,
            job.function,
            fields_of(given),
            project=project,
            scratch=scratch,
            readable=readable,
            writable=writable,
            timeout_s=timeout_s,
            progress=progress,
            memory_mb=memory_mb,
        )
        return job.made(**made)

    @staticmethod
    def _result(function: str, message: Message) -> dict[str, Any]:
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
        raise (JobOutOfMemory if failed["summary"] == OUT_OF_MEMORY else JobFailed)(failed["summary"])

    async def _take(self, group: str) -> Worker:
        """A worker of the group, warm if there is one."""
        idle = self._idle.setdefault(group, [])
        while idle:
            worker = idle.pop()
            if worker.process.returncode is None:
                self._busy.add(worker)
                return worker
        python = self._pythons.get(group, sys.executable)
        if not await asyncio.to_thread(Path(python).exists):
            raise Overloaded(
                f"the environment of the job group {group!r} is not installed",
                hint="Run `make setup`, or set CAPSTAN_JOB_PYTHONS to its interpreter.",
            )
        starting = asyncio.ensure_future(Worker.start(python, group))
        try:
            worker = await asyncio.shield(starting)
        except asyncio.CancelledError:  # the call is over, but a half-started worker would stay for ever
            self._end(end_when_started(starting))
            raise
        self._busy.add(worker)
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.create_task(self._reap())
        return worker

    def _give_back(self, group: str, worker: Worker) -> None:
        worker.jobs += 1
        worker.idle_since = asyncio.get_running_loop().time()
        if worker.jobs >= self._recycle_after:
            self._discard(worker)
        else:
            self._busy.discard(worker)
            self._idle[group].append(worker)

    def _discard(self, worker: Worker) -> None:
        """Kill it; `close` waits until it is gone."""
        worker.kill()
        self._busy.discard(worker)
        self._end(worker.process.wait())

    def _end(self, ending: Coroutine[Any, Any, int]) -> None:
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _reap(self) -> None:
        """End workers that were idle for long enough."""
        while self._busy or any(self._idle.values()):
            await asyncio.sleep(min(self._idle_s, 5))
            before = asyncio.get_running_loop().time() - self._idle_s
            for idle in self._idle.values():
                for worker in [worker for worker in idle if worker.idle_since <= before]:
                    idle.remove(worker)
                    self._discard(worker)

    async def close(self) -> None:
        """Kill all workers, and wait for those that were killed before, too."""
        if self._reaper is not None:
            self._reaper.cancel()
        for worker in [*self._busy, *(worker for idle in self._idle.values() for worker in idle)]:
            self._discard(worker)
        self._idle.clear()
        await asyncio.gather(*self._ending)


def _make_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
