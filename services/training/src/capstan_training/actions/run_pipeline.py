"""The stage `pipeline`: run the compiled pipeline on the pinned training set, with a live log and progress."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from capstan_contracts.errors import Code
from capstan_servicekit.errors import BadRequest, broken
from capstan_servicekit.work.lease import Lease
from capstan_training.actions.order_of_run import order_of
from capstan_training.actions.ports import (
    Executor,
    PipelineFailed,
    PipelineOutOfMemory,
    PipelineResult,
    PipelineTimedOut,
    RunLogs,
)
from capstan_training.actions.run_output import RunOutput
from capstan_training.domain.pipelines import Pipeline
from capstan_training.domain.transcript import Transcript
from capstan_training.tables import RunRow


class RunPipeline:
    """Hands a run's pipeline to the executor."""

    def __init__(self, executor: Executor, logs: RunLogs, scratch: Path) -> None:
        self._executor, self._logs, self._scratch = executor, logs, scratch

    @asynccontextmanager
    async def folder(self, run: str) -> AsyncIterator[Path]:
        """The run's folder, empty; what an interrupted attempt left is removed, and so is everything at the end."""
        folder = self._scratch / f"run-{run}"
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await asyncio.to_thread(folder.mkdir, parents=True)
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def __call__(self, row: RunRow, lease: Lease, folder: Path) -> PipelineResult:
        """What the pipeline made; BadRequest names the failed step and what it said last."""
        steps = Pipeline.from_json(row.pipeline).steps
        output = RunOutput(row.id, steps, lease, self._logs)
        await lease.progress(1, steps + 2, "pipeline: waiting for a place")
        await output.replay()
        try:
            return await self._executor.run(order_of(row, folder), output)
        except PipelineFailed as error:
            raise _failure(error, output.transcript) from error


def _failure(error: PipelineFailed, transcript: Transcript) -> BadRequest:
    step = transcript.failed or transcript.step
    where = f"step {step}" if step else "pipeline"
    said = f"; its last line: {transcript.last}" if transcript.last else ""
    if isinstance(error, PipelineTimedOut):
        return BadRequest(
            f"{where}: {error}{said}",
            hint="Raise training.resources.timeout in the loop, or make the step faster.",
            errors=broken(where, str(error)),
            code=Code.DEADLINE,
        )
    if isinstance(error, PipelineOutOfMemory):
        return BadRequest(
            f"{where}: {error}{said}",
            hint="Raise training.resources.memoryMb in the loop.",
            errors=broken(where, str(error)),
        )
    reason = transcript.last if transcript.failed and transcript.last else str(error)
    return BadRequest(
        f"{where} failed: {reason}",
        hint="The run's log has the whole output: GET /runs/{run}/logs.",
        errors=broken(where, reason),
    )
