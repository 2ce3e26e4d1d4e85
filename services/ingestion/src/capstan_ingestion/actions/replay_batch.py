"""Check the bytes of a quarantined batch again, under the contract as it is now."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_ingestion.actions.describe_batch import DescribeBatch
from capstan_ingestion.actions.start_check import StartCheck
from capstan_ingestion.tables import batch_row
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Conflict

_HINTS = {
    BatchState.COMMITTED: "Its rows are in the dataset already; send a corrected file for the partition instead.",
    BatchState.REPLACED: "A corrected batch has taken its place.",
}


class ReplayBatch:
    """A replay that is under way is the same replay."""

    def __init__(self, database: Database, start_check: StartCheck, describe: DescribeBatch) -> None:
        self._database, self._start_check, self._describe = database, start_check, describe

    async def __call__(self, project: str, batch: str) -> Batch:
        """Start the check; Conflict when the batch is neither quarantined nor failed."""
        async with self._database.write() as session:
            row = await batch_row(session, project, batch, alone=True)
            state = BatchState(row.state)
            if state in _HINTS:
                raise Conflict(f"Batch {row.digest[:12]} is {state}", hint=_HINTS[state])
            if state in (BatchState.QUARANTINED, BatchState.FAILED):
                await self._start_check(session, row, allow_duplicate=False)
            return await self._describe(session, row)
