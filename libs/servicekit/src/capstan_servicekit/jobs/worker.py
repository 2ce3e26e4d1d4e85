"""A worker process as its service sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from capstan_servicekit.jobs.box import quota, tree
from capstan_servicekit.jobs.lines import LONGEST_LINE
from capstan_servicekit.jobs.messages import Message
from capstan_servicekit.settings import inherited_environment

ProgressReport = Callable[[int, int, str], Awaitable[None]]
_LOOK_EVERY_S = 0.5


class JobFailed(Exception):
    """The job raised or its worker died; may succeed when tried again."""


class JobTimedOut(JobFailed):
    """The job ran past its limit."""


class JobOutOfMemory(JobFailed):
    """The job's processes held more memory than they may."""


class JobOverQuota(JobFailed):
    """The job filled more of the disk, or started more processes, than it may."""


@dataclass(eq=False)
class Worker:
    """One process, and what is below it."""

    process: asyncio.subprocess.Process
    jobs: int = 0
    idle_since: float = field(default=0.0)

    @classmethod
    async def start(cls, python: str, group: str) -> Worker:
        """Exec the host in an environment's interpreter, without the working folder on its search path."""
        return cls(
            await asyncio.create_subprocess_exec(
                python,
                "-u",
                "-P",
                "-m",
                "capstan_servicekit.jobs.host",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
                limit=LONGEST_LINE,
                env=inherited_environment() | {"PYTHONWARNINGS": "ignore", "CAPSTAN_JOB_GROUP": group},
            )
        )

    async def call(self, request: dict[str, Any], progress: ProgressReport | None) -> Message:
        """The last message of a job. JobFailed when the worker ended instead."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        await self.process.stdin.drain()
        while line := await self.process.stdout.readline():
            message: Message = json.loads(line)
            if "progress" in message:
                if progress is not None:
                    told = message["progress"]
                    await progress(told["done"], told["total"], told["message"])
            elif "ready" not in message:
                return message
        raise JobFailed(f"the worker ended with status {await self.process.wait()}")

    def kill(self) -> None:
        """End it with everything below it, whatever session that is in.

        First what is below, while the worker is there to adopt orphans; stopped, so that it answers for nothing.
        """
        with suppress(OSError):
            os.kill(self.process.pid, signal.SIGSTOP)
            tree.end_below(self.process.pid)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def watch(self, scratch: str, bounds: Bounds) -> JobFailed:
        """Look at what it holds, twice a second; once that is too much, kill it and say why. Needs /proc."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            broken = await asyncio.to_thread(self._look, scratch, bounds)
            if broken is not None:
                await asyncio.to_thread(self.kill)
                return broken

    def _look(self, scratch: str, bounds: Bounds) -> JobFailed | None:
        held = tree.held(self.process.pid)
        if held.memory > bounds.memory_bytes:
            return JobOutOfMemory(f"held more than {bounds.memory_bytes >> 20} MB")
        if held.processes > bounds.processes:
            return JobOverQuota(f"ran more than {bounds.processes} processes")
        if held.nameless + quota.used(scratch) > bounds.scratch_bytes:
            return JobOverQuota(f"wrote more than {bounds.scratch_bytes >> 20} MB")
        return None


@dataclass(frozen=True)
class Bounds:
    """What a worker with its job may hold."""

    memory_bytes: int
    processes: int
    scratch_bytes: int


async def end_when_started(starting: asyncio.Future[Worker]) -> int:
    """End a worker that nobody waits for any more; its exit status."""
    worker = await starting
    worker.kill()
    return await worker.process.wait()
