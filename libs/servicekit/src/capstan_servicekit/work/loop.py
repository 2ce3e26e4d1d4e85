"""Claims due items of work and runs them, each kind with its own concurrency."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import CursorResult, or_, select, update

from capstan_contracts.errors import Code, Problem
from capstan_contracts.ids import uuid7
from capstan_contracts.work import State
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.errors import CapstanError, NotReady
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import span
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, LeaseLost, WorkItem

log = logger(__name__)


AWAY_ATTEMPTS = 40


MAX_BACKOFF_S = 30.0


class WorkLoop:
    """Claims due items and runs them, each kind with its own concurrency."""

    def __init__(
        self, database: Database, kinds: Mapping[str, WorkKind], clock: Clock, metrics: Metrics, *, lease_s: float = 10
    ) -> None:
        self._database, self._kinds, self._clock, self._metrics = database, kinds, clock, metrics
        self._lease_s = lease_s
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid7()[-12:]}"
        self._wake = asyncio.Event()
        self._running: dict[str, set[asyncio.Task[None]]] = {kind: set() for kind in kinds}
        database.on_commit(self._wake.set)

    async def run(self) -> None:
        """Work until cancelled; items in hand are given back, and this attempt does not count."""
        try:
            while True:
                self._wake.clear()
                try:
                    claimed = await self._claim_some()
                except NotReady as error:  # what is in hand goes on meanwhile
                    log.warning("work.waiting", what=error.detail)
                    claimed = False
                if not claimed:
                    with suppress(TimeoutError):
                        # not wait_for: in Python 3.11 it can lose a cancellation, and stopping would hang
                        async with asyncio.timeout(1.0):
                            await self._wake.wait()
        finally:
            tasks = [task for group in self._running.values() for task in group]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _claim_some(self) -> bool:
        claimed = False
        for kind, how in self._kinds.items():
            while len(self._running[kind]) < how.concurrency and (lease := await self._claim(kind)) is not None:
                task = asyncio.create_task(self._work(lease, how))
                self._running[kind].add(task)
                task.add_done_callback(lambda done, group=self._running[kind]: self._ended(done, group))  # type: ignore[misc]
                claimed = True
        return claimed

    def _ended(self, task: asyncio.Task[None], group: set[asyncio.Task[None]]) -> None:
        group.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The database was away when the outcome was to be written: the lease runs out, and the item is done again.
            log.warning("work.outcome_unwritten", error=str(error))
        self._wake.set()

    async def _claim(self, kind: str) -> Lease | None:
        now = self._clock.now()
        due = or_(
            (WorkRow.state == State.QUEUED) & (WorkRow.not_before <= now),
            (WorkRow.state == State.RUNNING) & (WorkRow.lease_until < now),
        )
        async with self._database.read() as session:
            row = await session.scalar(
                select(WorkRow).where(WorkRow.kind == kind, due).order_by(WorkRow.created_at).limit(1)
            )
        if row is None:
            return None
        async with self._database.write() as session:
            result = await session.execute(
                update(WorkRow)
                .where(WorkRow.id == row.id, WorkRow.fence == row.fence, due)
                .values(
                    state=State.RUNNING,
                    fence=row.fence + 1,
                    attempts=row.attempts + 1,
                    owner=self._owner,
                    lease_until=now + timedelta(seconds=self._lease_s),
                )
            )
            if not isinstance(result, CursorResult) or result.rowcount != 1:
                return None
        bare_key = row.key.removeprefix(f"{kind}:{row.project}:")
        item = WorkItem(row.id, kind, bare_key, row.project, row.payload, row.attempts + 1)
        lease = Lease(self._database, self._clock, item, row.fence + 1, self._lease_s)
        lease.traceparent = row.traceparent
        if row.cancel_requested:
            lease.cancel_requested.set()
        return lease

    async def _work(self, lease: Lease, how: WorkKind) -> None:
        with span(lease.traceparent):
            beat = asyncio.create_task(lease.beat())
            work = asyncio.create_task(how.run(lease.item, lease))
            stop = asyncio.create_task(_either(lease.cancel_requested, lease.lost))
            try:
                await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    work.cancel()
                    await asyncio.wait({work})
                await self._outcome(work, lease, how)
            except asyncio.CancelledError:
                work.cancel()
                await asyncio.wait({work})
                await self._give_back(lease)
                raise
            finally:
                for task in (beat, work, stop):
                    task.cancel()
                await asyncio.gather(beat, work, stop, return_exceptions=True)

    async def _give_back(self, lease: Lease) -> None:
        """The process ends, and whoever is there does the item at once; without a database its lease runs out."""
        with suppress(LeaseLost, NotReady, OSError):
            async with self._database.write() as session:
                attempts = lease.item.attempt - 1
                await lease.guard(session, state=State.QUEUED, attempts=attempts, owner=None, lease_until=None)

    async def _outcome(self, work: asyncio.Task[None], lease: Lease, how: WorkKind) -> None:
        kind = lease.item.kind
        if lease.finished:
            self._metrics.work.labels(kind, "succeeded").inc()
            return
        if lease.lost.is_set():
            return
        if lease.cancel_requested.is_set():
            problem = Problem(
                title="Cancelled", status=409, code=Code.CONFLICT, detail="The work was cancelled on request."
            )
            await self._end(lease, how, State.CANCELLED, problem)
            return
        error = None if work.cancelled() else work.exception()
        if work.cancelled() or isinstance(error, LeaseLost):
            return
        if error is None:
            error = RuntimeError("the work ended without applying a result")
        await self._failed(error, lease, how)

    async def _failed(self, error: BaseException, lease: Lease, how: WorkKind) -> None:
        item = lease.item
        final = isinstance(error, CapstanError) and error.permanent
        # A part that is away comes back: a server may need minutes to move to another machine.
        away = isinstance(error, NotReady)
        if not final and item.attempt < how.max_attempts + (AWAY_ATTEMPTS if away else 0):
            log.warning(
                "work.retry", kind=item.kind, key=item.key, attempt=item.attempt, error=str(error),
                exc_info=None if away else error,
            )  # fmt: skip
            await self._retry_later(lease, min(how.backoff_s * 2 ** (item.attempt - 1), MAX_BACKOFF_S))
            return
        if isinstance(error, CapstanError):
            problem = error.problem()
        else:
            problem = Problem(
                title=Code.INTERNAL.summary,
                status=Code.INTERNAL.status,
                code=Code.INTERNAL,
                request_id=item.id,
                detail=f"The work failed {item.attempt} times; the log has it under {item.id}.",
            )
        log.error("work.failed", kind=item.kind, key=item.key, work=item.id, error=str(error), exc_info=error)
        await self._end(lease, how, State.FAILED, problem)

    async def _retry_later(self, lease: Lease, seconds: float) -> None:
        with suppress(LeaseLost):
            async with self._database.write() as session:
                later = self._clock.now() + timedelta(seconds=seconds)
                await lease.guard(session, state=State.QUEUED, not_before=later, owner=None, lease_until=None)
        self._metrics.work.labels(lease.item.kind, "retried").inc()

    async def _end(self, lease: Lease, how: WorkKind, state: State, problem: Problem) -> None:
        with suppress(LeaseLost):
            async with self._database.write() as session:
                await lease.guard(
                    session,
                    state=state,
                    problem=problem.model_dump(mode="json"),
                    finished_at=self._clock.now(),
                    owner=None,
                    lease_until=None,
                )
                await how.failed(session, lease.item, problem)
        self._metrics.work.labels(lease.item.kind, state.value).inc()


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
