"""Claims due items: one transaction raises the fence, and from then on nobody with an older one applies anything."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, func, or_, select, update

from capstan_contracts.ids import uuid7
from capstan_contracts.work import State
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import bare_key


@dataclass(frozen=True)
class Claim:
    """An item that is ours for now, as it is stored. `attempt` counts from 1."""

    id: str
    kind: str
    key: str
    project: str
    attempt: int
    stored: dict[str, Any]
    traceparent: str | None
    lease: Lease


class Claims:
    """Claims items for this process. An item is due when it is queued, or when its worker has fallen silent."""

    def __init__(self, database: Database, clock: Clock, lease_s: float) -> None:
        self._database, self._clock, self._lease_s = database, clock, lease_s
        self._last: dict[tuple[str, str], int] = {}
        self._count = itertools.count(1)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid7()[-12:]}"

    async def next(self, kind: str, full: Collection[str] = ()) -> Claim | None:
        """The oldest due item of a kind, of the project whose turn it is: that which had its last the longest ago.

        `full` are projects that may have none now. None when there is none, or another worker was faster.
        """
        now = self._clock.now()
        due = (WorkRow.kind == kind, _due(now), WorkRow.project.not_in(full))
        async with self._database.read() as session:
            waiting = select(WorkRow.project, func.min(WorkRow.created_at)).where(*due).group_by(WorkRow.project)
            projects = {project: since for project, since in await session.execute(waiting)}
            if not projects:
                return None
            project = min(projects, key=lambda name: (self._last.get((kind, name), 0), projects[name]))
            oldest = select(WorkRow).where(*due, WorkRow.project == project).order_by(WorkRow.created_at).limit(1)
            row = await session.scalar(oldest)
        if row is None or not await self._take(row, now):
            return None
        self._last[kind, project] = next(self._count)
        lease = Lease(self._database, self._clock, row.id, row.fence + 1, self._lease_s)
        if row.cancel_requested:
            lease.cancel()
        return Claim(
            row.id, kind, bare_key(row), row.project, row.attempts + 1, row.payload, row.traceparent, lease
        )  # fmt: skip

    async def _take(self, row: WorkRow, now: datetime) -> bool:
        async with self._database.write() as session:
            result = await session.execute(
                update(WorkRow)
                .where(WorkRow.id == row.id, WorkRow.fence == row.fence, _due(now))
                .values(
                    state=State.RUNNING,
                    fence=row.fence + 1,
                    attempts=row.attempts + 1,
                    owner=self._owner,
                    lease_until=now + timedelta(seconds=self._lease_s),
                )
            )
        return isinstance(result, CursorResult) and result.rowcount == 1


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(
        (WorkRow.state == State.QUEUED) & (WorkRow.not_before <= now),
        (WorkRow.state == State.RUNNING) & (WorkRow.lease_until < now),
    )
