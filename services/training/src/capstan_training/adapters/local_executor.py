"""Runs pipelines on this machine: one worker process, and below it one process per run, in the training environment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from capstan_servicekit.jobs.pool import JobOutOfMemory, JobPool, JobTimedOut
from capstan_training.actions.ports import (
    Output,
    PipelineFailed,
    PipelineOrder,
    PipelineOutOfMemory,
    PipelineResult,
    PipelineTimedOut,
)
from capstan_training.domain.transcript import plain

GROUP = "training"
JOB = "capstan_training.jobs.run_pipeline:run"
_CHUNK = 256 * 1024


class LocalExecutor:
    """One run at a time; a second one waits. It has a pool of its own, so that compiling never waits for a run."""

    def __init__(self, pool: JobPool, *, poll_s: float = 0.5) -> None:
        self._pool, self._poll_s = pool, poll_s

    async def run(self, order: PipelineOrder, output: Output) -> PipelineResult:
        """Run to the end. See the port."""
        log = order.folder / "output.log"
        await asyncio.to_thread(log.touch)
        arguments = dict(order.arguments)
        if order.wants_training_set:
            arguments["training_set"] = str(order.training_set)
        input_ = {
            "ir": str(order.ir),
            "arguments": arguments,
            "label": order.label,
            "threads": max(1, int(order.cpu)),
            "output": str(log),
        }
        tail = _Tail(log, output)
        follow = asyncio.create_task(tail.follow(self._poll_s))
        try:
            result = await self._pool.run(
                GROUP, JOB, input_, scratch=order.folder, timeout_s=order.timeout_s, memory_mb=order.memory_mb
            )
        except JobTimedOut as error:
            raise PipelineTimedOut(f"it ran longer than {order.timeout_s:g} s") from error
        except JobOutOfMemory as error:
            raise PipelineOutOfMemory(f"it held more than {order.memory_mb} MB") from error
        finally:
            follow.cancel()
            await asyncio.gather(follow, return_exceptions=True)
            await tail.drain()
        if "failed" in result:
            raise PipelineFailed(plain(str(result["failed"])))
        return _result(result, order.folder)

    async def close(self) -> None:
        """Kill the worker and everything below it."""
        await self._pool.close()


def _result(result: dict[str, Any], folder: Path) -> PipelineResult:
    return PipelineResult(
        package=folder / Path(result["package"]).relative_to(folder),
        package_digest=result["digest"],
        holdout=folder / Path(result["holdout"]).relative_to(folder),
        metrics=result["metrics"],
    )


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
            await self._output(plain(self._rest.decode("utf-8", "replace")))
            self._rest = b""

    def _read(self) -> bytes:
        with self._file.open("rb") as file:
            file.seek(self._offset)
            return file.read(_CHUNK)

    async def _take(self, data: bytes) -> bool:
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            await self._output(plain(line.decode("utf-8", "replace")))
        if len(self._rest) > _CHUNK:
            await self._output(plain(self._rest.decode("utf-8", "replace")))
            self._rest = b""
        return bool(data)
