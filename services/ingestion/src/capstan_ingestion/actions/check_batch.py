"""The work on a batch: check it, then commit it or set it aside; never half of it."""

from __future__ import annotations

from pathlib import Path

from capstan_contracts.errors import Problem
from capstan_contracts.events import BatchQuarantined
from capstan_contracts.ids import Urn, short
from capstan_contracts.rest.ingestion import BatchState, Verdict
from capstan_ingestion.actions.commit_batch import Commit, CommitBatch
from capstan_ingestion.actions.compare_keys import KeysRepeated
from capstan_ingestion.actions.ports import Checked, Checker
from capstan_ingestion.domain.batch import BATCH
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.versions import earlier_columns
from capstan_ingestion.domain.work import BatchToCheck
from capstan_ingestion.tables import BatchRow, columns_read, dataset_row, head_of, spec_of
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore, path_of
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease


class CheckBatch(Work[BatchToCheck]):
    """Runs outside of any transaction; its effect is one guarded transaction at the end.

    One at a time: the next check would only wait for the worker, and batches commit in their order.
    """

    Payload = BatchToCheck

    def __init__(
        self, clock: Clock, outbox: Outbox, jobs: JobPool, objects: ObjectStore, checker: Checker, commit: CommitBatch
    ) -> None:
        self._clock, self._outbox, self._jobs, self._objects = clock, outbox, jobs, objects
        self._checker, self._commit = checker, commit

    async def run(self, item: WorkItem[BatchToCheck], lease: Lease) -> None:
        """Check the batch and apply what was found."""
        async with lease.step() as session:
            batch = await session.get_one(BatchRow, item.payload.batch)
            batch.state = BATCH.move(batch.state, BatchState.CHECKING)
            dataset = await dataset_row(session, batch.project, batch.dataset)
            spec, head = spec_of(dataset), await head_of(session, dataset)
            needed = await columns_read(session, dataset)
        raw = await path_of(
            self._objects, batch.project, batch.digest, what=f"batch {short(batch.digest)} of {batch.dataset!r}"
        )
        async with self._jobs.scratch() as folder:
            checked = await self._checker.check(
                batch.project,
                raw,
                Form.parse(batch.media),
                spec,
                earlier=earlier_columns(head, batch.partition),
                needed=needed,
                folder=folder,
                progress=lease.progress,
            )
            failing = await self._keep(batch.project, checked.failing_rows)
            if checked.canonical is None:
                await self._set_aside(lease, batch, checked, failing)
                return
            sha256 = await self._objects.put_file(batch.project, checked.canonical)
            try:
                await self._commit(lease, Commit(batch, spec, needed, checked, sha256, failing), folder)
            except KeysRepeated as repeated:
                failing = await self._keep(batch.project, repeated.checked.failing_rows)
                await self._set_aside(lease, batch, repeated.checked, failing)

    async def failed(self, session: WriteSession, item: WorkItem[BatchToCheck], problem: Problem) -> None:
        """The check itself could not be carried out: the bytes stay, a replay tries again."""
        row = await session.get_one(BatchRow, item.payload.batch)
        row.state = BATCH.move(row.state, BatchState.FAILED)
        row.problem, row.finished_at = problem, self._clock.now()

    async def _keep(self, project: str, file: Path | None) -> str | None:
        return None if file is None else await self._objects.put_file(project, file)

    async def _set_aside(self, lease: Lease, batch: BatchRow, checked: Checked, failing: str | None) -> None:
        verdict = checked.verdict
        async with lease.finish() as session:
            row = await session.get_one(BatchRow, batch.id)
            row.state, row.finished_at = BATCH.move(row.state, BatchState.QUARANTINED), self._clock.now()
            row.verdict, row.rows = verdict, verdict.rows
            row.failing_rows, row.failing_total = failing, checked.failing_total
            event = BatchQuarantined(
                dataset=row.dataset,
                batch=row.digest,
                partition=row.partition,
                rows=verdict.rows,
                failed=_blocking(verdict),
                failing_rows=checked.failing_total,
            )
            subject = Urn(row.project, "batch", row.digest)
            self._outbox.add(session, event, project=row.project, subject=subject)


def _blocking(verdict: Verdict) -> list[str]:
    return [check.key for check in verdict.checks if check.severity == "critical" and check.outcome != "passed"]
