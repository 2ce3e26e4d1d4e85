"""Show runs."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.training import Run
from capstan_contracts.work import Progress, State
from capstan_servicekit.db.session import Database
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.domain.work import RunToCarryOut
from capstan_training.tables import RunRow, run_row

PAGE = 50


def to_run(row: RunRow, progress: Progress | None = None) -> Run:
    """The wire form."""
    return Run.model_validate(
        {
            "id": row.id,
            "loop": row.loop,
            "reason": row.reason,
            "requested_by": row.requested_by,
            "state": row.state,
            "stage": row.stage,
            "progress": progress or Progress(),
            "problem": row.problem,
            "dataset": row.dataset,
            "dataset_version": row.dataset_version,
            "training_set": row.training_set,
            "view_versions": row.view_versions,
            "dataset_versions": row.dataset_versions,
            "code": row.code,
            "parameters": row.parameters,
            "seed": row.seed,
            "package": row.package,
            "holdout": row.holdout,
            "metrics": row.metrics,
            "mlflow_run": row.mlflow_run,
            "retrain_request": row.retrain_request,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
        }
    )


class ReadRuns:
    """`GET /runs`, `GET /runs/{run}`."""

    def __init__(self, database: Database, work: WorkQueue) -> None:
        self._database, self._work = database, work

    async def by_id(self, project: str, run: str) -> Run:
        """A run with its progress; NotFound."""
        async with self._database.read() as session:
            row = await run_row(session, project, run)
            status = await self._work.status(session, RunToCarryOut(run), project=project)
        return to_run(row, status.progress if status else None)

    async def page(self, project: str, *, loop: str | None, before: str | None, limit: int = PAGE) -> Page[Run]:
        """Runs of a project, newest first; `before` is the cursor (a run id)."""
        query = select(RunRow).where(RunRow.project == project)
        if loop is not None:
            query = query.where(RunRow.loop == loop)
        if before is not None:
            query = query.where(RunRow.id < before)
        items = []
        async with self._database.read() as session:
            rows = list((await session.scalars(query.order_by(RunRow.id.desc()).limit(limit + 1))).all())
            for row in rows[:limit]:
                goes_on = not State(row.state).finished
                status = await self._work.status(session, RunToCarryOut(row.id), project=project) if goes_on else None
                items.append(to_run(row, status.progress if status else None))
        return Page(items=items, next=rows[limit - 1].id if len(rows) > limit else None)
