"""Put a batch in line for its (next) check."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import BatchState
from capstan_ingestion.domain.batch import BATCH
from capstan_ingestion.domain.work import BatchToCheck
from capstan_ingestion.tables import BatchRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


async def start_check(session: WriteSession, work: WorkQueue, row: BatchRow) -> None:
    """Begin the next attempt, in the caller's transaction; what the last one said is gone."""
    row.attempt += 1
    row.state = BATCH.first if row.attempt == 1 else BATCH.move(row.state, BatchState.RECEIVED)
    row.verdict, row.problem, row.failing_rows, row.failing_total, row.finished_at = None, None, None, 0, None
    await session.flush()
    await work.add(session, BatchToCheck(row.id, row.attempt), project=row.project)
