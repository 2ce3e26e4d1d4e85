"""Hand the windows that time has closed to the judge: one at a time per loop, in the order of time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from capstan_contracts.work import State
from capstan_monitoring.tables import MonitorRow, WindowRow
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.work.queue import WorkQueue

JUDGE = "judge"
INGEST = "ingest"


def watermark(row: MonitorRow, lateness: timedelta) -> datetime | None:
    """The event time before which no more predictions are awaited."""
    seen = row.newest - lateness if row.newest is not None else None
    return max((one for one in (seen, row.declared) if one is not None), default=None)


async def close_windows(session: WriteSession, work: WorkQueue, row: MonitorRow, lateness: timedelta) -> None:
    """Enqueue the oldest closed window.

    Not while one of this loop is being judged, or a segment of it waits to be taken in: their ends call this again.
    """
    until = watermark(row, lateness)
    if until is None:
        return
    await session.flush()
    waiting = select(WorkRow.id).where(
        WorkRow.kind == INGEST,
        WorkRow.state.in_((State.QUEUED, State.RUNNING)),
        WorkRow.key.startswith(f"{INGEST}:{row.project}:{row.loop}:", autoescape=True),
    )
    if await session.scalar(waiting.limit(1)) is not None:
        return
    mine = (WindowRow.project == row.project, WindowRow.loop == row.loop)
    if await session.scalar(select(WindowRow.start).where(*mine, WindowRow.state == "evaluating").limit(1)) is not None:
        return
    due = select(WindowRow).where(*mine, WindowRow.state == "open", WindowRow.end <= until)
    window = await session.scalar(due.order_by(WindowRow.start, WindowRow.version).limit(1))
    if window is not None:
        window.state = "evaluating"
        payload = window_payload(window)
        await work.add(session, JUDGE, key=window_key(window), project=row.project, payload=payload)


def ingest_key(loop: str, segment: str) -> str:
    """What a segment is called in work items."""
    return f"{loop}:{segment}"


def window_key(window: WindowRow) -> str:
    """What a window is called in work items."""
    return f"{window.loop}:{window.start:%Y-%m-%dT%H:%M:%S.%f}:{window.version}"


def window_payload(window: WindowRow) -> dict[str, object]:
    """What `window_of` reads back."""
    return {"loop": window.loop, "start": window.start.isoformat(), "version": window.version}


async def window_of(session: ReadSession, project: str, payload: dict[str, object]) -> WindowRow:
    """The window of a work item."""
    start = datetime.fromisoformat(str(payload["start"]))
    return await session.get_one(WindowRow, (project, payload["loop"], start, payload["version"]))
