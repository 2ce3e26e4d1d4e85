"""Adds items of work within the caller's transaction, and looks at them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import CursorResult, select, update

from capstan_contracts.errors import Problem
from capstan_contracts.ids import uuid7
from capstan_contracts.work import Progress, State, WorkStatus
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.telemetry.trace import traceparent
from capstan_servicekit.work.kinds import P, Payload
from capstan_servicekit.work.payloads import decode, encode

_OPEN = (State.QUEUED, State.RUNNING)


class WorkQueue:
    """Adds and looks at items. An item is named by its kind (the payload's class), its project and its key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def add(
        self,
        session: WriteSession,
        work: Payload,
        *,
        project: str,
        delay_s: float = 0,
    ) -> bool:
        """Enqueue within the caller's transaction; False when an open or finished item of this kind and key exists."""
        full_key = _full_key(work.KIND, project, work.key)
        if await session.scalar(select(WorkRow.id).where(WorkRow.key == full_key)) is not None:
            return False
        now = self._clock.now()
        session.add(
            WorkRow(
                id=uuid7(),
                kind=work.KIND,
                key=full_key,
                project=project,
                payload=encode(work),
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

    async def status(self, session: ReadSession, work: Payload, *, project: str) -> WorkStatus | None:
        """State and progress of the item that has this payload's kind and key; None when there is none."""
        row = await session.scalar(select(WorkRow).where(WorkRow.key == _full_key(work.KIND, project, work.key)))
        if row is None:
            return None
        return WorkStatus(
            state=State(row.state),
            progress=Progress.model_validate(row.progress),
            problem=Problem.model_validate(row.problem) if row.problem else None,
        )

    async def open_items(
        self, session: ReadSession, kind: type[P], *, project: str, key_prefix: str = "", limit: int | None = None
    ) -> list[P]:
        """Payloads of the items that are queued or under way, those alone whose key begins with `key_prefix`."""
        query = select(WorkRow.payload).where(
            WorkRow.kind == kind.KIND,
            WorkRow.state.in_(_OPEN),
            WorkRow.key.startswith(_full_key(kind.KIND, project, key_prefix), autoescape=True),
        )
        return [decode(kind, stored) for stored in (await session.scalars(query.limit(limit))).all()]

    async def cancel(self, session: WriteSession, work: Payload, *, project: str) -> bool:
        """Ask the open item that has this payload's kind and key to stop; False when there is none."""
        named = (WorkRow.key == _full_key(work.KIND, project, work.key), WorkRow.state.in_(_OPEN))
        result = await session.execute(update(WorkRow).where(*named).values(cancel_requested=True))
        return isinstance(result, CursorResult) and result.rowcount == 1


def _full_key(kind: str, project: str, key: str) -> str:
    return f"{kind}:{project}:{key}"


def bare_key(row: WorkRow) -> str:
    """The key as it was given to `add`."""
    return row.key.removeprefix(_full_key(row.kind, row.project, ""))
