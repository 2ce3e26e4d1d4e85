"""Log a finished run to the tracking system that people look at; the run itself never waits for it."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_contracts.ids import short
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_training.actions.ports import RunRecord, Tracking
from capstan_training.domain.work import RunToLog
from capstan_training.tables import RunRow

log = logger(__name__)


class LogRun(Work[RunToLog]):
    """Patient over half an hour: MLflow may have to be started first."""

    Payload = RunToLog
    max_attempts = 10
    backoff_s = 2.0

    def __init__(self, database: Database, tracking: Tracking) -> None:
        self._database = database
        self._tracking = tracking

    async def run(self, item: WorkItem[RunToLog], lease: Lease) -> None:
        """Log it, then remember its id over there."""
        async with self._database.read() as session:
            row = await session.get_one(RunRow, item.payload.run)
        mlflow_run = await self._tracking.log_run(record(row))
        async with lease.finish() as session:
            (await session.get_one(RunRow, item.payload.run)).mlflow_run = mlflow_run

    async def failed(self, session: WriteSession, item: WorkItem[RunToLog], problem: Problem) -> None:
        """The run stays without an entry over there; nothing else depends on it."""
        log.error("training.run_not_logged", run=item.payload.run, detail=problem.detail)


def record(row: RunRow) -> RunRecord:
    """What the tracking system is told of a succeeded run."""
    views = {f"capstan.view.{name}": short(version) for name, version in sorted(row.view_versions.items())}
    return RunRecord(
        project=row.project,
        run=row.id,
        loop=row.loop,
        package=row.package or "",
        dataset=row.dataset,
        dataset_version=row.dataset_version,
        parameters={**row.parameters, "seed": row.seed},
        metrics=row.metrics,
        tags={
            "capstan.project": row.project,
            "capstan.reason": row.reason,
            "capstan.code": row.code,
            "capstan.dataset_version": row.dataset_version,
            "capstan.training_set": row.training_set or "",
            **views,
        },
        started_at=row.started_at or row.created_at,
        finished_at=row.finished_at or row.created_at,
    )
