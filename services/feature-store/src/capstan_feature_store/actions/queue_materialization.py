"""Enqueue materializations: of one view, or of all views of a dataset that has a new version."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from capstan_contracts.events import DatasetCommitted
from capstan_contracts.ids import uuid7
from capstan_contracts.work import State
from capstan_feature_store.domain.work import ViewToMaterialize
from capstan_feature_store.tables import DatasetVersionRow, MaterializationRow, ViewRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue

ON_REQUEST = -1
"""The ordinal of a materialization that somebody asked for: nothing newer replaces it in the queue."""


def work_of(row: MaterializationRow) -> ViewToMaterialize:
    """The work that carries a materialization out."""
    return ViewToMaterialize(row.id, row.view_version, row.dataset_version, row.attempt)


class QueueMaterialization:
    """Writes rows and work items into the caller's transaction."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def for_view(
        self, session: WriteSession, view: ViewRow, dataset_version: str, *, ordinal: int, now: datetime
    ) -> MaterializationRow:
        """The open or done materialization of this view and dataset version, or a new one."""
        query = select(MaterializationRow).where(
            MaterializationRow.project == view.project,
            MaterializationRow.view == view.name,
            MaterializationRow.view_version == view.version,
            MaterializationRow.dataset_version == dataset_version,
        )
        last = await session.scalar(query.order_by(MaterializationRow.attempt.desc()).limit(1))
        if last is not None:
            online = last.state == State.SUCCEEDED and view.online_dataset_version == dataset_version
            if online or not State(last.state).finished:
                return last
        row = MaterializationRow(
            id=uuid7(),
            project=view.project,
            view=view.name,
            view_version=view.version,
            dataset=view.dataset,
            dataset_version=dataset_version,
            attempt=1 if last is None else last.attempt + 1,
            ordinal=ordinal,
            state=State.QUEUED,
            note="",
            created_at=now,
        )
        session.add(row)
        await session.flush()
        await self._work.add(session, work_of(row), project=row.project)
        return row

    async def for_dataset(self, session: WriteSession, project: str, event: DatasetCommitted, *, now: datetime) -> None:
        """Note a dataset version; each view of the dataset is to follow."""
        parent = event.parent or ""
        same = select(DatasetVersionRow.ordinal).where(
            DatasetVersionRow.project == project,
            DatasetVersionRow.dataset == event.dataset,
            DatasetVersionRow.version == event.version,
            DatasetVersionRow.parent == parent,
        )
        if await session.scalar(same) is not None:
            return
        noted = DatasetVersionRow(
            project=project, dataset=event.dataset, version=event.version, parent=parent, committed_at=now
        )
        session.add(noted)
        await session.flush()
        query = select(ViewRow).where(ViewRow.project == project, ViewRow.dataset == event.dataset, ViewRow.current)
        for view in list(await session.scalars(query.order_by(ViewRow.name))):
            await self.for_view(session, view, event.version, ordinal=noted.ordinal, now=now)
