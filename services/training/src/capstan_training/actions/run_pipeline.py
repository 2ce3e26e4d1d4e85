"""The stage `pipeline`: run the compiled pipeline on the pinned training set, with a live log and progress."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from capstan_contracts.errors import Code
from capstan_servicekit.errors import BadRequest, broken
from capstan_servicekit.runtime import Kit
from capstan_servicekit.work import Lease
from capstan_training.actions.ports import (
    Executor,
    PipelineFailed,
    PipelineOrder,
    PipelineOutOfMemory,
    PipelineResult,
    PipelineTimedOut,
    RunLogs,
)
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.pins import Pins, given
from capstan_training.domain.pipelines import Pipeline, arguments
from capstan_training.domain.transcript import Transcript
from capstan_training.tables import RunRow


class RunPipeline:
    """Hands a run's pipeline to the executor."""

    def __init__(self, kit: Kit, executor: Executor, logs: RunLogs, scratch: Path) -> None:
        self._kit, self._executor, self._logs, self._scratch = kit, executor, logs, scratch

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
        """What the pipeline made, below `folder`; BadRequest names the failed step and what it said last."""
        pipeline = Pipeline.from_json(row.pipeline)
        order = await self._order(row, pipeline, folder)
        transcript, total = Transcript(), pipeline.steps + 2
        await lease.progress(1, total, "pipeline: waiting for a place")

        async def output(line: str) -> None:
            self._logs.append(row.id, line)
            if transcript.read(line):
                message = f"pipeline: {transcript.step or 'next step'} ({transcript.done} of {pipeline.steps} done)"
                await lease.progress(min(1 + transcript.done, total - 1), total, message)

        try:
            return await self._executor.run(order, output)
        except PipelineFailed as error:
            raise _failure(error, transcript) from error

    async def _order(self, row: RunRow, pipeline: Pipeline, folder: Path) -> PipelineOrder:
        part = TrainingPart.from_json(row.part)
        pins = Pins(
            dataset_version=row.dataset_version,
            dataset_versions=row.dataset_versions,
            view_versions=row.view_versions,
            code=row.code,
            seed=row.seed,
            parameters=row.parameters,
        )
        stored = await self._kit.objects.local_path(row.project, row.training_set or "")
        # a copy: user code gets a file of its own, never one of the object store
        training_set = folder / "training_set.parquet"
        await asyncio.to_thread(shutil.copyfile, stored, training_set)
        resources = part.training.resources
        return PipelineOrder(
            run=row.id,
            ir=await self._kit.objects.local_path(row.project, pipeline.ir),
            arguments=arguments(pipeline, row.parameters, given(row.project, part, pins)),
            training_set=training_set,
            wants_training_set="training_set" in pipeline.parameters,
            label=part.training.label,
            folder=folder,
            cpu=resources.cpu,
            memory_mb=resources.memory_mb,
            timeout_s=resources.timeout.total_seconds(),
        )


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
