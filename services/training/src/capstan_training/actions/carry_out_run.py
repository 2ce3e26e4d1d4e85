"""Carry a run out, stage by stage: pin, features, pipeline, publish. A stage that was interrupted starts again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from capstan_contracts.errors import Problem
from capstan_contracts.events import RunFinished, RunStarted
from capstan_contracts.ids import Urn, short
from capstan_contracts.work import State
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import CapstanError, Conflict
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.actions.make_training_set import MakeTrainingSet
from capstan_training.actions.ports import Datasets, PipelineResult, RunLogs
from capstan_training.actions.run_pipeline import RunPipeline
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.run import RUN, STAGE, Stage
from capstan_training.domain.transcript import OWN
from capstan_training.domain.work import RunToCarryOut, RunToClose, RunToLog
from capstan_training.tables import RunRow

Folder = Callable[[str], AbstractAsyncContextManager[Path]]


class CarryOutRun(Work[RunToCarryOut]):
    """Several wait or join features side by side; the executor decides how many pipelines run."""

    Payload = RunToCarryOut
    max_attempts = 6
    concurrency = 8

    def __init__(
        self,
        database: Database,
        clock: Clock,
        outbox: Outbox,
        work: WorkQueue,
        datasets: Datasets,
        features: MakeTrainingSet,
        pipeline: RunPipeline,
        logs: RunLogs,
    ) -> None:
        self._database, self._clock, self._outbox, self._work = database, clock, outbox, work
        self._datasets, self._features, self._pipeline, self._logs = datasets, features, pipeline, logs

    async def run(self, item: WorkItem[RunToCarryOut], lease: Lease) -> None:
        """From the stage in the run's row to the end."""
        row = await self._load(item.payload.run)
        if State(row.state).finished:
            async with lease.finish():
                return
        if item.attempt > 1:
            self._logs.append(row.id, f"{OWN} attempt {item.attempt}: stage {row.stage} starts again")
        try:
            if row.stage == Stage.QUEUED:
                row = await self._begin(row, lease)
            if row.stage == Stage.FEATURES:
                row = await self._features(row, lease)
            async with self._pipeline.folder(row.id) as folder:
                result = await self._pipeline(row, lease, folder)
                await self._publish(row, lease, result)
        except CapstanError as error:
            self._logs.append(row.id, f"{OWN} {error.detail}")
            raise

    async def _load(self, run: str) -> RunRow:
        async with self._database.read() as session:
            return await session.get_one(RunRow, run)

    async def _begin(self, row: RunRow, lease: Lease) -> RunRow:
        """Pin the other datasets to their newest versions; from here on nothing that decides the result changes."""
        part, versions = TrainingPart.from_json(row.part), dict(row.dataset_versions)
        for source in part.sources:
            newest = versions.get(source) or await self._datasets.newest(row.project, source)
            if newest is None:
                raise Conflict(
                    f"The dataset {source} has no version yet", hint=f"Upload a batch of {source}, then start a run."
                )
            versions[source] = newest
        async with lease.step() as session:
            row = await session.get_one(RunRow, row.id)
            row.state = RUN.move(row.state, State.RUNNING)
            row.stage = STAGE.move(row.stage, Stage.FEATURES)
            row.dataset_versions, row.started_at = versions, self._clock.now()
            event = RunStarted(
                run=row.id,
                loop=row.loop,
                dataset=row.dataset,
                dataset_version=row.dataset_version,
                code=row.code,
                reason=row.reason,
            )
            self._outbox.add(session, event, project=row.project, subject=Urn(row.project, "run", row.id))
        pinned = ", ".join(f"{name}@{short(version)}" for name, version in sorted(versions.items()))
        self._logs.append(row.id, f"{OWN} pinned: {pinned}, code {short(row.code)}, seed {row.seed}")
        return row

    async def _publish(self, row: RunRow, lease: Lease, result: PipelineResult) -> None:
        """End the run with what was made, its event and its work for the tracking system."""
        async with lease.step() as session:
            row = await session.get_one(RunRow, row.id)
            row.stage = STAGE.move(row.stage, Stage.PUBLISH)
        self._logs.append(row.id, f"{OWN} package {short(result.package)}, holdout {short(result.holdout)}")
        async with lease.finish() as session:
            row = await session.get_one(RunRow, row.id)
            row.package, row.holdout, row.metrics = result.package, result.holdout, dict(result.metrics)
            row.state = RUN.move(row.state, State.SUCCEEDED)
            row.stage, row.finished_at = STAGE.move(row.stage, Stage.DONE), self._clock.now()
            await self._ended(session, row)
            await self._work.add(session, RunToLog(row.id), project=row.project)

    async def failed(self, session: WriteSession, item: WorkItem[RunToCarryOut], problem: Problem) -> None:
        """The run failed or was cancelled: the work item says which."""
        row = await session.get_one(RunRow, item.payload.run)
        status = await self._work.status(session, item.payload, project=item.project)
        cancelled = status is not None and status.state is State.CANCELLED
        row.state = RUN.move(row.state, State.CANCELLED if cancelled else State.FAILED)
        row.problem, row.finished_at = problem, self._clock.now()
        await self._ended(session, row, problem.detail or problem.title)

    async def _ended(self, session: WriteSession, row: RunRow, error: str = "") -> None:
        """In the transaction that ends the run: its event, and the work that clears up behind it."""
        await self._work.add(session, RunToClose(row.id), project=row.project)
        event = RunFinished(
            run=row.id,
            loop=row.loop,
            state=State(row.state),
            reason=row.reason,
            dataset=row.dataset,
            dataset_version=row.dataset_version,
            training_set=row.training_set,
            code=row.code,
            parameters=row.parameters,
            view_versions=row.view_versions,
            package=row.package,
            holdout=row.holdout,
            metrics=row.metrics,
            promote=row.promote,
            error=error,
        )
        self._outbox.add(session, event, project=row.project, subject=Urn(row.project, "run", row.id))
