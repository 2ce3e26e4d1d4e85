"""Put a batch in line for its (next) check."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import BatchState
from capstan_ingestion.domain.batch import BATCH
from capstan_ingestion.domain.work import BatchToCheck
from capstan_ingestion.tables import BatchRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


class StartCheck:
    """Of a batch that arrived, of one that is replayed, and of bytes that came again."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: WriteSession, row: BatchRow) -> None:
        """Begin the next attempt, in the caller's transaction; what the last one said is gone."""
        row.attempt += 1
        row.state = BATCH.first if row.attempt == 1 else BATCH.move(row.state, BatchState.RECEIVED)
        row.verdict, row.problem, row.failing_rows, row.failing_total, row.finished_at = None, None, None, 0, None
        await session.flush()
        await self._work.add(session, BatchToCheck(row.id, row.attempt), project=row.project)
