"""Long work in three phases: load, process outside any transaction, apply guarded by lease and fencing token.

A worker claims an item by raising its fence. Whoever applies a result with an older fence gets `LeaseLost` and drops
it: somebody else finishes the item, and its effect happens once. Source: Kleppmann, "How to do distributed locking".
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, or_, select, update

from capstan_contracts.errors import Code, Problem
from capstan_contracts.ids import uuid7
from capstan_contracts.work import Progress, State, WorkStatus
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.errors import CapstanError, NotReady
from capstan_servicekit.telemetry import Metrics, logger
from capstan_servicekit.trace import span, traceparent

log = logger(__name__)
AWAY_ATTEMPTS = 40
MAX_BACKOFF_S = 30.0
_OPEN = (State.QUEUED, State.RUNNING)


class LeaseLost(Exception):
    """Somebody else has the item now: drop what was made."""


class Cancelled(Exception):
    """The item was asked to stop, and has."""


@dataclass(frozen=True)
class WorkItem:
    """A claimed item. `key` names what it is about; `attempt` counts from 1."""

    id: str
    kind: str
    key: str
    project: str
    payload: dict[str, Any]
    attempt: int


class Lease:
    """The right to work on an item; heart-beats keep it, `step` and `finish` prove it."""

    def __init__(self, database: Database, clock: Clock, item: WorkItem, fence: int, seconds: float) -> None:
        self._database, self._clock, self.item, self._fence = database, clock, item, fence
        self._seconds = seconds
        self.traceparent: str | None = None
        self.cancel_requested = asyncio.Event()
        self.lost = asyncio.Event()
        self.finished = False
        self._progress = Progress()

    async def progress(self, done: int, total: int, message: str = "") -> None:
        """Tell how far the work is; written with the next heart-beat."""
        self._progress = Progress(done=done, total=total, message=message)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[WriteSession]:
        """A guarded transaction in the middle of the work."""
        async with self._database.write() as session:
            await self.guard(session, progress=self._progress.model_dump())
            yield session

    @asynccontextmanager
    async def finish(self) -> AsyncIterator[WriteSession]:
        """The guarded transaction that applies the result and ends the item."""
        async with self._database.write() as session:
            await self.guard(
                session,
                state=State.SUCCEEDED,
                finished_at=self._clock.now(),
                owner=None,
                lease_until=None,
                progress=self._progress.model_copy(update={"message": ""}).model_dump(),
            )
            yield session
        self.finished = True

    async def beat(self) -> None:
        """Heart-beat until the lease is lost."""
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                async with self._database.write() as session:
                    until = self._clock.now() + timedelta(seconds=self._seconds)
                    await self.guard(session, lease_until=until, progress=self._progress.model_dump())
                    row = await session.get(WorkRow, self.item.id)
                    if row is not None and row.cancel_requested:
                        self.cancel_requested.set()
            except LeaseLost:
                self.lost.set()
                return
            except NotReady:
                continue  # the work goes on; when the database stays away for longer than the lease, `guard` says so

    async def guard(self, session: WriteSession, **values: Any) -> None:
        """Write `values` into the item's row if the lease still holds; LeaseLost otherwise."""
        mine = (WorkRow.id == self.item.id, WorkRow.fence == self._fence, WorkRow.state == State.RUNNING)
        result = await session.execute(update(WorkRow).where(*mine).values(**values))
        if not isinstance(result, CursorResult) or result.rowcount != 1:
            raise LeaseLost(self.item.id)


@dataclass(frozen=True)
class WorkKind:
    """How one kind of work is done.

    `run` loads, processes and calls `lease.finish()`. `failed` writes the failure into the service's own rows, in the
    transaction that ends the item. A `CapstanError` under 500 is final at once; anything else is tried again.
    """

    run: Callable[[WorkItem, Lease], Coroutine[Any, Any, None]]
    failed: Callable[[WriteSession, WorkItem, Problem], Awaitable[None]]
    max_attempts: int = 5
    concurrency: int = 1
    backoff_s: float = 1.0


class WorkQueue:
    """Adds and looks at items."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def add(
        self,
        session: WriteSession,
        kind: str,
        *,
        key: str,
        project: str,
        payload: dict[str, Any] | None = None,
        delay_s: float = 0,
    ) -> bool:
        """Enqueue within the caller's transaction; False when an open or finished item of this kind and key exists."""
        full_key = f"{kind}:{project}:{key}"
        if await session.scalar(select(WorkRow.id).where(WorkRow.key == full_key)) is not None:
            return False
        now = self._clock.now()
        session.add(
            WorkRow(
                id=uuid7(),
                kind=kind,
                key=full_key,
                project=project,
                payload=payload or {},
                state=State.QUEUED,
                fence=0,
                attempts=0,
                not_before=now + timedelta(seconds=delay_s),
                progress=Progress().model_dump(),
                cancel_requested=False,
                traceparent=traceparent(),
                created_at=now,
            )
        )
        await session.flush()
        return True

    async def status(self, session: ReadSession, kind: str, *, key: str, project: str) -> WorkStatus | None:
        """State and progress of an item."""
        row = await session.scalar(select(WorkRow).where(WorkRow.key == f"{kind}:{project}:{key}"))
        if row is None:
            return None
        return WorkStatus(
            state=State(row.state),
            progress=Progress.model_validate(row.progress),
            problem=Problem.model_validate(row.problem) if row.problem else None,
        )

    async def cancel(self, session: WriteSession, kind: str, *, key: str, project: str) -> bool:
        """Ask an open item to stop; False when there is none."""
        mine = (WorkRow.key == f"{kind}:{project}:{key}", WorkRow.state.in_(_OPEN))
        result = await session.execute(update(WorkRow).where(*mine).values(cancel_requested=True))
        return isinstance(result, CursorResult) and result.rowcount == 1


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
                title="Internal error",
                status=500,
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
