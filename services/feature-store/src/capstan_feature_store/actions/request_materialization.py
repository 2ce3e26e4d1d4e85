"""Ask for a materialization, and look at materializations."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.feature_store import Materialization, MaterializationRequest
from capstan_contracts.work import Progress, State
from capstan_feature_store.actions.ports import Datasets
from capstan_feature_store.actions.queue_materialization import ON_REQUEST, QueueMaterialization, work_of
from capstan_feature_store.tables import MaterializationRow, current_view_row
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, ReadSession
from capstan_servicekit.errors import NotFound
from capstan_servicekit.work.queue import WorkQueue

PAGE = 100


@dataclass(frozen=True)
class Materializations:
    """The resource `materializations`."""

    database: Database
    work: WorkQueue
    queue: QueueMaterialization
    datasets: Datasets
    clock: Clock

    async def request(self, project: str, asked: MaterializationRequest, key: str | None) -> Materialization:
        """The materialization of a view at a dataset version; the open or done one when there is one."""
        request_print = fingerprint("materialization", asked.model_dump_json())
        async with self.database.write() as session:
            if (recalled := await recall(session, project, key, request_print)) is not None:
                return await self._of(session, await _row(session, project, recalled["id"]))
            dataset = (await current_view_row(session, project, asked.view)).dataset
        version = asked.dataset_version or await self.datasets.latest(project, dataset)
        manifest = await self.datasets.manifest(project, dataset, version)
        now = self.clock.now()
        async with self.database.write() as session:
            view = await current_view_row(session, project, asked.view)
            row = await self.queue.for_view(session, view, manifest.version, ordinal=ON_REQUEST, now=now)
            if await recall(session, project, key, request_print) is None:
                remember(session, project, key, request_print, {"id": row.id}, now)
            return await self._of(session, row)

    async def get(self, project: str, id_: str) -> Materialization:
        """One materialization; NotFound."""
        async with self.database.read() as session:
            return await self._of(session, await _row(session, project, id_))

    async def list(self, project: str, *, view: str | None, after: str | None) -> Page[Materialization]:
        """Newest first; `after` is the id that the last page ended with."""
        query = select(MaterializationRow).where(MaterializationRow.project == project)
        if view is not None:
            query = query.where(MaterializationRow.view == view)
        if after is not None:
            query = query.where(MaterializationRow.id < after)
        async with self.database.read() as session:
            rows = list(await session.scalars(query.order_by(MaterializationRow.id.desc()).limit(PAGE + 1)))
            items = [await self._of(session, row) for row in rows[:PAGE]]
        return Page(items=items, next=items[-1].id if len(rows) > PAGE else None)

    async def _of(self, session: ReadSession, row: MaterializationRow) -> Materialization:
        state, progress = State(row.state), Progress(message=row.note)
        if not state.finished:
            status = await self.work.status(session, work_of(row), project=row.project)
            if status is not None and not status.state.finished:
                state, progress = status.state, status.progress
        return Materialization(
            id=row.id,
            view=row.view,
            view_version=row.view_version,
            dataset_version=row.dataset_version,
            state=state,
            progress=progress,
            problem=Problem.model_validate(row.problem) if row.problem else None,
            rows=row.rows,
            watermark=row.watermark,
        )


async def _row(session: ReadSession, project: str, id_: str) -> MaterializationRow:
    row = await session.get(MaterializationRow, id_)
    if row is None or row.project != project:
        raise NotFound(f"no materialization {id_} in project {project!r}")
    return row
