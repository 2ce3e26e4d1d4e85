"""After a run: end what of it still goes on, and keep its log where every process finds it."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_training.actions.ports import Executor, RunLogs
from capstan_training.domain.work import RunToClose
from capstan_training.tables import RunRow

log = logger(__name__)


class CloseRun(Work[RunToClose]):
    """Enqueued by the transaction that ends a run. Patient: a run that goes on after its end costs money.

    So a run that was cancelled ends where it runs, too, whichever process is there to see to it.
    """

    Payload = RunToClose
    max_attempts = 12
    concurrency = 4

    def __init__(self, objects: ObjectStore, executor: Executor, logs: RunLogs) -> None:
        self._objects = objects
        self._executor, self._logs = executor, logs

    async def run(self, item: WorkItem[RunToClose], lease: Lease) -> None:
        """End it, then store its log."""
        await self._executor.end(item.payload.run)
        file = await self._logs.file(item.payload.run)
        stored = await self._objects.put_file(item.project, file) if file is not None else None
        async with lease.finish() as session:
            row = await session.get_one(RunRow, item.payload.run)
            row.log = stored or row.log

    async def failed(self, session: WriteSession, item: WorkItem[RunToClose], problem: Problem) -> None:
        """What is left is said in the log; the run's result stands."""
        log.error("training.run_not_closed", run=item.payload.run, detail=problem.detail)
