"""A dataset has a new version: remember how far it reaches, fetch its labels, let go of retrains that waited."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import DatasetCommitted, Envelope
from capstan_monitoring.actions.consider_retrain import ConsiderRetrain
from capstan_monitoring.domain.work import LabelsToJoin
from capstan_monitoring.tables import CommitRow, MonitorRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


class OnDatasetCommitted:
    """`dataset.committed`, of any dataset: a loop that comes later may name it."""

    def __init__(self, work: WorkQueue, retrain: ConsiderRetrain) -> None:
        self._work = work
        self._retrain = retrain

    async def __call__(self, session: WriteSession, envelope: Envelope, event: DatasetCommitted) -> None:
        """Within the event's transaction."""
        project = envelope.project
        parent = await session.get(CommitRow, (project, event.dataset, event.parent)) if event.parent else None
        # The event tells of the new batch; the version holds the parent's rows as well.
        before = parent.event_time_max if parent is not None else None
        reach = max((moment for moment in (event.event_time_max, before) if moment is not None), default=None)
        commit = await session.merge(
            CommitRow(
                project=project,
                dataset=event.dataset,
                version=event.version,
                batch=event.batch,
                event_time_max=reach,
                committed_at=envelope.time,
            )
        )
        for monitor in (await session.scalars(select(MonitorRow).where(MonitorRow.project == project))).all():
            if monitor.part["dataset"] != event.dataset:
                continue
            labels = LabelsToJoin(monitor.loop, event.dataset, event.version, event.batch)
            await self._work.add(session, labels, project=project)
            await self._retrain.after_commit(session, monitor.loop, commit)
