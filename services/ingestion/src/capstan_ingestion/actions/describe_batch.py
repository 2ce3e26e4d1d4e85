"""A batch as callers see it."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_contracts.work import Progress
from capstan_ingestion.domain.batch import OPEN
from capstan_ingestion.domain.work import BatchToCheck
from capstan_ingestion.tables import BatchRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.work.queue import WorkQueue


class DescribeBatch:
    """While its check is open, with the progress of it."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: ReadSession, row: BatchRow) -> Batch:
        """The wire form, in the caller's session."""
        progress = Progress()
        if row.state in OPEN:
            status = await self._work.status(session, BatchToCheck(row.id, row.attempt), project=row.project)
            progress = status.progress if status else progress
        return Batch(
            id=row.digest,
            dataset=row.dataset,
            partition=row.partition,
            filename=row.filename,
            media=row.media,
            bytes=row.bytes,
            state=BatchState(row.state),
            progress=progress,
            rows=row.rows,
            verdict=row.verdict,
            version=row.version,
            replaces=row.replaces,
            problem=row.problem,
            received_at=row.received_at,
            finished_at=row.finished_at,
        )
