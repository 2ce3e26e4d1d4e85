"""At start and from time to time: what should be true elsewhere and is not, becomes work again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import select

from capstan_contracts.work import State
from capstan_registry.actions.distribute_loop import CONVERGE, add_converge
from capstan_registry.actions.project_alias import add_missing_projections
from capstan_registry.tables import LoopRow
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.runtime import Kit

EVERY_S = 600.0


def reconciler(kit: Kit, *, every_s: float = EVERY_S) -> Callable[[], Awaitable[None]]:
    """The background task."""

    async def run() -> None:
        while True:
            await add_missing_projections(kit)
            await add_missing_distributions(kit)
            await asyncio.sleep(every_s)

    return run


async def add_missing_distributions(kit: Kit) -> None:
    """Enqueue the hand-out of every loop that is not applied everywhere and that nobody works on."""
    async with kit.database.write() as session:
        rows = await session.scalars(select(LoopRow).where(LoopRow.applied.is_(False)))
        for loop in rows.all():
            open_items = await session.scalars(
                select(WorkRow.payload).where(
                    WorkRow.kind == CONVERGE,
                    WorkRow.project == loop.project,
                    WorkRow.state.in_((State.QUEUED, State.RUNNING)),
                )
            )
            if loop.name not in {payload["loop"] for payload in open_items}:
                await add_converge(kit, session, loop)
