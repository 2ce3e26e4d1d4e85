"""Claims due items of work and runs them, each kind with its own concurrency."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotReady
from capstan_servicekit.tasks import stop
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import span
from capstan_servicekit.work.claims import Claim, Claims
from capstan_servicekit.work.kinds import AnyWork, kinds_of
from capstan_servicekit.work.outcomes import Outcomes, item_of

log = logger(__name__)
PROJECTS_SIDE_BY_SIDE = 4
"""Of a kind, so many projects may have all that they may under way."""
LOOK_EVERY_S = 1.0
"""How long nothing is looked for when no commit of this process wakes the loop: other replicas add work as well."""


class WorkLoop:
    """Claims due items and runs them.

    What runs, and of which project, is in `_running`, by kind; what became of it, `Outcomes` writes.
    """

    def __init__(
        self, database: Database, works: Sequence[AnyWork], clock: Clock, metrics: Metrics, *, lease_s: float = 10
    ) -> None:
        self._works = kinds_of(tuple(works))
        self._claims = Claims(database, clock, lease_s)
        self._outcomes = Outcomes(database, clock, metrics)
        self._running: dict[str, dict[asyncio.Task[None], str]] = {kind: {} for kind in self._works}
        self._wake = asyncio.Event()
        database.on_commit(self._wake.set)

    async def run(self) -> None:
        """Work until cancelled; items in hand are given back, and this attempt does not count."""
        try:
            while True:
                self._wake.clear()
                if not await self._claim_some():
                    with suppress(TimeoutError):
                        # not wait_for: in Python 3.11 it can lose a cancellation, and stopping would hang
                        async with asyncio.timeout(LOOK_EVERY_S):
                            await self._wake.wait()
        finally:
            await stop([task for group in self._running.values() for task in group])

    async def _claim_some(self) -> bool:
        """Start what is due and has room; whether anything was started."""
        started = False
        try:
            for kind, work in self._works.items():
                while (claim := await self._next(kind, work)) is not None:
                    self._start(claim, work)
                    started = True
        except NotReady as error:  # what is in hand goes on meanwhile
            log.warning("work.waiting", what=error.detail)
            return False
        return started

    async def _next(self, kind: str, work: AnyWork) -> Claim | None:
        """An item of a project that has fewer under way than it may."""
        running = Counter(self._running[kind].values())
        if running.total() >= work.concurrency * PROJECTS_SIDE_BY_SIDE:
            return None
        full = [project for project, count in running.items() if count >= work.concurrency]
        return await self._claims.next(kind, full)

    def _start(self, claim: Claim, work: AnyWork) -> None:
        group = self._running[claim.kind]
        task = asyncio.create_task(self._attempt(claim, work))
        group[task] = claim.project
        task.add_done_callback(lambda done: self._ended(done, group))

    def _ended(self, task: asyncio.Task[None], group: dict[asyncio.Task[None], str]) -> None:
        group.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The database was away when the outcome was to be written: the lease runs out, and the item is done again.
            log.warning("work.outcome_unwritten", error=str(error))
        self._wake.set()

    async def _attempt(self, claim: Claim, work: AnyWork) -> None:
        """Run an item beside its heart-beat, until it ends, its lease is over, or the process stops."""
        with span(claim.traceparent):
            doing = asyncio.create_task(_do(claim, work))
            beat, over = asyncio.create_task(claim.lease.beat()), asyncio.create_task(claim.lease.over.wait())
            try:
                await asyncio.wait({doing, over}, return_when=asyncio.FIRST_COMPLETED)
                await stop([doing])
                error = asyncio.CancelledError() if doing.cancelled() else doing.exception()
                await self._outcomes.ended(claim, work, error)
            except asyncio.CancelledError:
                await stop([doing])
                await self._outcomes.give_back(claim)
                raise
            finally:
                await stop([beat, over])


async def _do(claim: Claim, work: AnyWork) -> None:
    await work.run(item_of(claim, work), claim.lease)
