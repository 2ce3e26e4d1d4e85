"""At start and from time to time: what should be true elsewhere and is not, becomes work again."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from capstan_registry.actions.distribute_loop import QueueDistribution
from capstan_registry.actions.project_alias import ProjectMissingAliases
from capstan_registry.domain.work import LoopToDistribute
from capstan_registry.tables import LoopRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.work.queue import WorkQueue

EVERY_S = 600.0


class DistributeMissingLoops:
    """Enqueues the hand-out of every loop that is not applied everywhere and that nobody works on."""

    def __init__(self, database: Database, work: WorkQueue, queue: QueueDistribution) -> None:
        self._database, self._work, self._queue = database, work, queue

    async def __call__(self) -> None:
        """Look once."""
        async with self._database.write() as session:
            for loop in (await session.scalars(select(LoopRow).where(LoopRow.applied.is_(False)))).all():
                open_items = await self._work.open_items(session, LoopToDistribute, project=loop.project)
                if loop.name not in {distribution.loop for distribution in open_items}:
                    await self._queue(session, loop)


class Reconcile:
    """The background task."""

    def __init__(
        self, aliases: ProjectMissingAliases, loops: DistributeMissingLoops, *, every_s: float = EVERY_S
    ) -> None:
        self._aliases, self._loops, self._every_s = aliases, loops, every_s

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._aliases()
            await self._loops()
            await asyncio.sleep(self._every_s)
