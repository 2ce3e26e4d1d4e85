"""After a run: end what of it still goes on, and keep its log where every process finds it."""

from __future__ import annotations

from capstan_servicekit.objects.port import ObjectStore
from capstan_contracts.errors import Problem
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem
from capstan_training.actions.ports import Executor, RunLogs
from capstan_training.tables import RunRow

CLOSE_RUN = "close-run"
log = logger(__name__)


class CloseRun:
    """The work kind `close-run`; the key is the run's id. Enqueued by the transaction that ends a run.

    So a run that was cancelled ends where it runs, too, whichever process is there to see to it.
    """

    def __init__(self, objects: ObjectStore, executor: Executor, logs: RunLogs) -> None:
        self._objects = objects
        self._executor, self._logs = executor, logs

    def kind(self) -> WorkKind:
        """Patient: a run that goes on after its end costs money."""
        return WorkKind(self.run, self.failed, max_attempts=12, concurrency=4)

    async def run(self, item: WorkItem, lease: Lease) -> None:
        """End it, then store its log."""
        await self._executor.end(item.key)
        file = await self._logs.file(item.key)
        stored = await self._objects.put_file(item.project, file) if file is not None else None
        async with lease.finish() as session:
            row = await session.get_one(RunRow, item.key)
            row.log = stored or row.log

    async def failed(self, session: WriteSession, item: WorkItem, problem: Problem) -> None:
        """What is left is said in the log; the run's result stands."""
        log.error("training.run_not_closed", run=item.key, detail=problem.detail)
