"""A dataset of a loop has grown, or the loop is new: is it time for a run?"""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_training.actions.ports import Datasets
from capstan_training.actions.start_run import Start, StartRun
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.work import LoopToConsider
from capstan_training.tables import LoopRow, RunRow

log = logger(__name__)


class ConsiderStart(Work[LoopToConsider]):
    """Patient: ingestion may be away for a while."""

    Payload = LoopToConsider
    max_attempts = 12

    def __init__(self, database: Database, datasets: Datasets, start: StartRun) -> None:
        self._database = database
        self._datasets, self._start = datasets, start

    async def run(self, item: WorkItem[LoopToConsider], lease: Lease) -> None:
        """Decide by what ingestion knows, then start the run or not, in one guarded transaction."""
        name = item.payload.loop
        async with self._database.read() as session:
            loop = await session.get(LoopRow, (item.project, name))
            first = not await _has_runs(session, item.project, name)
        start = None
        if loop is not None:
            start = await self._decide(item, TrainingPart.from_json(loop.part), first=first)
        async with lease.finish() as session:
            loop = await session.get(LoopRow, (item.project, name))
            if start is None or loop is None:
                return
            if start.reason == "first" and await _has_runs(session, item.project, name):
                return
            await self._start(session, loop, start)

    async def _decide(self, item: WorkItem[LoopToConsider], part: TrainingPart, *, first: bool) -> Start | None:
        on_label = item.payload.dataset == part.dataset
        version = item.payload.version if on_label else None
        if first and part.training.first_at is not None:
            version = version or await self._datasets.newest(item.project, part.dataset)
            if version is None or not await self._enough(item.project, part, version):
                return None
            return Start(cause="first", reason="first", requested_by="capstan/training", dataset_version=version)
        if "dataset" in part.training.on and on_label and version is not None:
            return Start(
                cause=f"dataset:{version}",
                reason="dataset",
                requested_by="capstan/ingestion",
                dataset_version=version,
            )
        return None

    async def _enough(self, project: str, part: TrainingPart, version: str) -> bool:
        wanted = part.training.first_at or 1
        if await self._datasets.partitions(project, part.dataset, version) < wanted:
            return False
        return all([await self._datasets.newest(project, source) for source in part.sources])

    async def failed(self, session: WriteSession, item: WorkItem[LoopToConsider], problem: Problem) -> None:
        """Nothing was started; the next commit of a dataset asks again."""
        log.warning("training.start_not_considered", loop=item.payload.loop, detail=problem.detail)


async def _has_runs(session: ReadSession, project: str, loop: str) -> bool:
    query = select(RunRow.id).where(RunRow.project == project, RunRow.loop == loop).limit(1)
    return await session.scalar(query) is not None
