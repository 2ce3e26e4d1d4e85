"""Keep views online that the store has lost (a server that keeps rows in memory only comes back empty) or that an
earlier release wrote in a format that is no longer read.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import select

from capstan_feature_store.actions.ports import OnlineStore
from capstan_feature_store.actions.queue_materialization import ON_REQUEST, QueueMaterialization
from capstan_feature_store.tables import ViewRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotReady
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)


@dataclass(frozen=True)
class KeepOnline:
    """A background task: look now and then, and materialize again what is gone."""

    database: Database
    store: OnlineStore
    queue: QueueMaterialization
    clock: Clock
    every_s: float = 10.0

    async def __call__(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.once()
            except NotReady as error:  # the store is away; readiness says so
                log.info("online_store.not_looked_at", what=error.detail)
            await asyncio.sleep(self.every_s)

    async def once(self) -> int:
        """How many views are materialized again."""
        async with self.database.read() as session:
            query = select(ViewRow).where(ViewRow.current, ViewRow.online_dataset_version.is_not(None))
            views = list(await session.scalars(query))
        lost = [view for view in views if not await self.store.holds(view.project, view.name, view.version)]
        for view in lost:
            await self._again(view)
        return len(lost)

    async def _again(self, view: ViewRow) -> None:
        async with self.database.write() as session:
            row = await session.get_one(ViewRow, (view.project, view.name, view.version))
            version = row.online_dataset_version
            if version is None or version != view.online_dataset_version or not row.current:
                return  # somebody was faster
            row.online_dataset_version = row.online_sequence = row.online_watermark = None
            row.online_rows = 0
            await self.queue.for_view(session, row, version, ordinal=ON_REQUEST, now=self.clock.now())
        log.warning("online_store.lost_a_view", project=view.project, view=view.name, dataset_version=version)
