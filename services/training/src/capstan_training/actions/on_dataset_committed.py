"""A dataset has a new version: have every loop that may start by it considered."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import DatasetCommitted
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.work import LoopToConsider
from capstan_training.tables import LoopRow


class OnDatasetCommitted:
    """Enqueues work only; what ingestion knows is asked outside of the transaction."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: WriteSession, project: str, event: DatasetCommitted) -> None:
        """Once per loop and version."""
        for loop in await session.scalars(select(LoopRow).where(LoopRow.project == project)):
            part = TrainingPart.from_json(loop.part)
            wanted = part.training.first_at is not None or "dataset" in part.training.on
            if not wanted or event.dataset not in part.datasets:
                continue
            await self._work.add(session, LoopToConsider(loop.loop, event.dataset, event.version), project=project)
