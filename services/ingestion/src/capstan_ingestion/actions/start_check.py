"""Put a batch in line for its (next) check."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.ingestion import BatchState
from capstan_ingestion.domain.batch import BATCH, OPEN
from capstan_ingestion.domain.work import BatchToCheck
from capstan_ingestion.tables import BatchRow, dataset_row, head_of
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.errors import Conflict, broken
from capstan_servicekit.work.queue import WorkQueue


class StartCheck:
    """Of a batch that arrived, of one that is replayed, and of bytes that came again."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: WriteSession, row: BatchRow, *, allow_duplicate: bool) -> None:
        """Begin the (next) attempt, in the caller's transaction; what the last one said is gone.

        Conflict where another partition holds the same bytes, or will, unless `allow_duplicate`.
        """
        if not allow_duplicate:
            await _check_elsewhere(session, row)
        session.add(row)
        row.attempt += 1
        row.state = BATCH.first if row.attempt == 1 else BATCH.move(row.state, BatchState.RECEIVED)
        row.verdict, row.problem, row.failing_rows, row.failing_total, row.finished_at = None, None, None, 0, None
        await session.flush()
        await self._work.add(session, BatchToCheck(row.id, row.attempt), project=row.project)


async def _check_elsewhere(session: ReadSession, row: BatchRow) -> None:
    """The rows of the batch would stand twice in the dataset.

    Bytes that were set aside there, or that others have replaced since, are in no row: they may come under their own
    name.
    """
    query = select(BatchRow).where(
        BatchRow.project == row.project,
        BatchRow.dataset == row.dataset,
        BatchRow.digest == row.digest,
        BatchRow.partition != row.partition,
    )
    head = await head_of(session, await dataset_row(session, row.project, row.dataset))
    held = {file.partition for file in (head.files if head else []) if file.batch == row.digest}
    for other in await session.scalars(query.order_by(BatchRow.id)):
        if other.state in OPEN or other.partition in held:
            raise Conflict(
                f"The same bytes are partition {other.partition!r} of dataset {row.dataset!r} already ({other.state})",
                hint="Send each partition its own file; to have these rows in both, say --allow-duplicate "
                "(?allow_duplicate=true).",
                errors=broken("query.partition", f"{other.partition!r}, where these bytes are"),
            )
