"""Check the bytes of a quarantined batch again, under the contract as it is now."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_ingestion.actions.describe import describe_batch
from capstan_ingestion.actions.start_check import start_check
from capstan_ingestion.tables import batch_row
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Conflict
from capstan_servicekit.work.queue import WorkQueue

_HINTS = {
    BatchState.COMMITTED: "Its rows are in the dataset already; send a corrected file for the partition instead.",
    BatchState.REPLACED: "A corrected batch has taken its place.",
}


class ReplayBatch:
    """A replay that is under way is the same replay."""

    def __init__(self, database: Database, work: WorkQueue) -> None:
        self._database, self._work = database, work

    async def __call__(self, project: str, batch: str) -> Batch:
        """Start the check; Conflict when the batch is neither quarantined nor failed."""
        async with self._database.write() as session:
            row = await batch_row(session, project, batch, alone=True)
            state = BatchState(row.state)
            if state in _HINTS:
                raise Conflict(f"Batch {row.digest[:12]} is {state}", hint=_HINTS[state])
            if state in (BatchState.QUARANTINED, BatchState.FAILED):
                await start_check(session, self._work, row)
            return await describe_batch(session, self._work, row)
