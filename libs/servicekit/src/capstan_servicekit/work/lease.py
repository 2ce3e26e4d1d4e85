"""Long work in three phases: load, process outside any transaction, apply guarded by lease and fencing token.

A worker claims an item by raising its fence. Whoever applies a result with an older fence gets `LeaseLost` and drops
it: somebody else finishes the item, and its effect happens once. Source: Kleppmann, "How to do distributed locking".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, update

from capstan_contracts.work import Progress, State
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.errors import NotReady


class LeaseLost(Exception):
    """Somebody else has the item now: drop what was made."""


class Lease:
    """The right to work on an item; heart-beats keep it, `step` and `finish` prove it."""

    def __init__(self, database: Database, clock: Clock, work: str, fence: int, seconds: float) -> None:
        self._database, self._clock, self._work, self._fence = database, clock, work, fence
        self._seconds = seconds
        self._progress = Progress()
        self.finished = self.lost = self.cancelled = False
        self.over = asyncio.Event()
        """Set once the lease is `lost`, or somebody has asked the item to stop (`cancelled`)."""

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
            progress = self._progress.model_copy(update={"message": ""}).model_dump()
            await self.end(session, State.SUCCEEDED, progress=progress)
            yield session
        self.finished = True

    async def beat(self) -> None:
        """Heart-beat until the lease is lost; a beat also hears whether the item is to stop."""
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                async with self._database.write() as session:
                    until = self._clock.now() + timedelta(seconds=self._seconds)
                    await self.guard(session, lease_until=until, progress=self._progress.model_dump())
                    row = await session.get(WorkRow, self._work)
                    if row is not None and row.cancel_requested:
                        self.cancel()
            except LeaseLost:
                self.lost = True
                self.over.set()
                return
            except NotReady:
                continue  # the work goes on; when the database stays away for longer than the lease, `guard` says so

    def cancel(self) -> None:
        """Somebody has asked the item to stop."""
        self.cancelled = True
        self.over.set()

    async def end(self, session: WriteSession, state: State, **values: Any) -> None:
        """End the item in this state; LeaseLost when it is somebody else's by now."""
        await self.guard(
            session, state=state, finished_at=self._clock.now(), owner=None, lease_until=None, **values
        )  # fmt: skip

    async def give_back(self, session: WriteSession, **values: Any) -> None:
        """Put the item back into the queue; LeaseLost when it is somebody else's by now."""
        await self.guard(session, state=State.QUEUED, owner=None, lease_until=None, **values)

    async def guard(self, session: WriteSession, **values: Any) -> None:
        """Write `values` into the item's row if the lease still holds; LeaseLost otherwise."""
        held = (WorkRow.id == self._work, WorkRow.fence == self._fence, WorkRow.state == State.RUNNING)
        result = await session.execute(update(WorkRow).where(*held).values(**values))
        if not isinstance(result, CursorResult) or result.rowcount != 1:
            raise LeaseLost(self._work)
