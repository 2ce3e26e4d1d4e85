"""Adds items of work within the caller's transaction, and looks at them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, select, update

from capstan_contracts.errors import Problem
from capstan_contracts.ids import uuid7
from capstan_contracts.work import Progress, State, WorkStatus
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.telemetry.trace import traceparent

_OPEN = (State.QUEUED, State.RUNNING)


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
