"""Runs pipelines on this machine: one worker process, and below it one process per run, in the training environment."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from capstan_servicekit.errors import Upstream
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobOutOfMemory, JobPool, JobTimedOut
from capstan_servicekit.objects.port import ObjectStore
from capstan_training.actions.ports import (
    Handover,
    Output,
    PipelineFailed,
    PipelineOrder,
    PipelineOutOfMemory,
    PipelineResult,
    PipelineTimedOut,
)
from capstan_training.domain.jobs import GROUP, PipelineToRun, RunPipelineResult
from capstan_training.domain.transcript import plain
from capstan_training.settings import Settings

RUN = JobKind(GROUP, "capstan_training.jobs.run_pipeline:run", PipelineToRun, RunPipelineResult)
_CHUNK = 256 * 1024


def make(settings: Settings, objects: ObjectStore, handover: Handover) -> LocalExecutor:
    """The executor of this machine, with a worker pool of its own."""
    python = settings.job_pythons.get(GROUP, sys.executable)
    pool = JobPool({GROUP: python}, settings.home / "scratch" / "training-runs", idle_s=settings.job_idle_s)
    return LocalExecutor(pool, objects, poll_s=settings.poll_s)


class LocalExecutor:
    """One run at a time; a second one waits. It has a pool of its own, so that compiling never waits for a run.

    A run ends with this process, and with the call: the next call starts it from the beginning.
    """

    def __init__(self, pool: JobPool, objects: ObjectStore, *, poll_s: float = 0.5) -> None:
        self._pool, self._objects, self._poll_s = pool, objects, poll_s

    async def run(self, order: PipelineOrder, output: Output) -> PipelineResult:
        """Run to the end. See the port."""
        log = order.folder / "output.log"
        await asyncio.to_thread(log.touch)
        await output.begins()
        inputs = await self._inputs(order)
        given = PipelineToRun(
            ir=str(await self._objects.local_path(order.project, order.ir)),
            inputs=list(inputs.values()),
            arguments={**order.arguments, **inputs},
            label=order.label,
            threads=order.threads,
            output=str(log),
        )
        tail = _Tail(log, output)
        follow = asyncio.create_task(tail.follow(self._poll_s))
        try:
            result = await self._pool.call(
                RUN,
                given,
                project=order.project,
                scratch=order.folder,
                readable=[given.ir],
                timeout_s=order.timeout_s,
                memory_mb=order.memory_mb,
            )
        except JobTimedOut as error:
            raise PipelineTimedOut(f"it ran longer than {order.timeout_s:g} s") from error
        except JobOutOfMemory as error:
            raise PipelineOutOfMemory(f"it held more than {order.memory_mb} MB") from error
        finally:
            follow.cancel()
            await asyncio.gather(follow, return_exceptions=True)
            await tail.drain()
        if result.failed:
            raise PipelineFailed(plain(result.failed))
        return await self._result(result, order)

    async def end(self, run: str) -> None:
        """Nothing is left: the processes of a run end with the call that runs it."""

    async def close(self) -> None:
        """Kill the worker and everything below it."""
        await self._pool.close()

    async def _inputs(self, order: PipelineOrder) -> dict[str, str]:
        """Files by the argument that names them."""
        if not order.wants_training_set:
            return {}
        stored = await self._objects.local_path(order.project, order.training_set)
        # a copy: where there is no box, user code still gets a file of its own, never one of the object store
        training_set = order.folder / "training_set.parquet"
        await asyncio.to_thread(shutil.copyfile, stored, training_set)
        return {"training_set": str(training_set)}

    async def _result(self, result: RunPipelineResult, order: PipelineOrder) -> PipelineResult:
        folder = order.folder
        files = [made_file(folder, made) for made in (result.package, result.holdout)]
        package, holdout = [await self._objects.put_file(order.project, file) for file in files]
        if package != result.digest:
            raise Upstream("The package changed on its way to the object store")
        return PipelineResult(package, holdout, result.metrics)


class _Tail:
    """Hands the lines of a growing file over."""

    def __init__(self, file: Path, output: Output) -> None:
        self._file, self._output = file, output
        self._offset, self._rest = 0, b""

    async def follow(self, pause_s: float) -> None:
        """Look every `pause_s` seconds, until cancelled."""
        while True:
            await asyncio.sleep(pause_s)
            while await self._take(await asyncio.to_thread(self._read)):
                pass

    async def drain(self) -> None:
        """Hand over what is left, a last line without an end too."""
        while await self._take(await asyncio.to_thread(self._read)):
            pass
        if self._rest:
            await self._output.line(plain(self._rest.decode("utf-8", "replace")))
            self._rest = b""

    def _read(self) -> bytes:
        with self._file.open("rb") as file:
            file.seek(self._offset)
            return file.read(_CHUNK)

    async def _take(self, data: bytes) -> bool:
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            await self._output.line(plain(line.decode("utf-8", "replace")))
        if len(self._rest) > _CHUNK:
            await self._output.line(plain(self._rest.decode("utf-8", "replace")))
            self._rest = b""
        return bool(data)
