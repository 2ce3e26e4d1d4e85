"""Ask for a scrub, look at scrubs, stop one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from capstan_contracts.ids import uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Scrub, ScrubFinding, ScrubRequest
from capstan_contracts.work import Progress, State
from capstan_ingestion.domain.work import ObjectsToScrub
from capstan_ingestion.tables import ScrubRow, dataset_row
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, ReadSession
from capstan_servicekit.errors import Conflict, NotFound
from capstan_servicekit.work.queue import WorkQueue


@dataclass(frozen=True)
class Scrubs:
    """The resource `scrubs`."""

    database: Database
    work: WorkQueue
    clock: Clock

    async def request(self, project: str, asked: ScrubRequest, key: str | None) -> Scrub:
        """A new scrub, in line. NotFound where there is no such dataset."""
        request_print = fingerprint("scrub", asked.model_dump_json())
        async with self.database.write() as session:
            if (known := await recall(session, project, key, request_print)) is not None:
                return await self._of(session, await _row(session, project, known["id"]))
            if asked.dataset is not None:
                await dataset_row(session, project, asked.dataset)
            now = self.clock.now()
            row = ScrubRow(
                id=uuid7(now), project=project, dataset=asked.dataset, state=State.QUEUED, objects=0, damaged=0, gone=0,
                findings=[], created_at=now,
            )  # fmt: skip
            session.add(row)
            await session.flush()
            await self.work.add(session, ObjectsToScrub(row.id), project=project)
            remember(session, project, key, request_print, {"id": row.id}, now)
            return await self._of(session, row)

    async def one(self, project: str, scrub: str) -> Scrub:
        """One scrub; NotFound."""
        async with self.database.read() as session:
            return await self._of(session, await _row(session, project, scrub))

    async def page(self, project: str, *, limit: int, before: str | None) -> Page[Scrub]:
        """Scrubs, newest first, from the one before the id `before`."""
        query = select(ScrubRow).where(ScrubRow.project == project)
        if before is not None:
            query = query.where(ScrubRow.id < before)
        async with self.database.read() as session:
            rows = list(await session.scalars(query.order_by(ScrubRow.id.desc()).limit(limit + 1)))
            items = [await self._of(session, row) for row in rows[:limit]]
        return Page(items=items, next=items[-1].id if len(rows) > limit else None)

    async def cancel(self, project: str, scrub: str) -> Scrub:
        """Ask it to stop; its state follows within seconds. Conflict once it has ended."""
        async with self.database.write() as session:
            row = await _row(session, project, scrub)
            if row.state == State.CANCELLED:
                return await self._of(session, row)
            if State(row.state).finished:
                raise Conflict(f"scrub {scrub} has ended: {row.state}")
            await self.work.cancel(session, ObjectsToScrub(scrub), project=project)
            return await self._of(session, row)

    async def _of(self, session: ReadSession, row: ScrubRow) -> Scrub:
        state, progress = State(row.state), Progress(done=row.objects, total=row.objects)
        if not state.finished:
            status = await self.work.status(session, ObjectsToScrub(row.id), project=row.project)
            if status is not None and not status.state.finished:
                state, progress = status.state, status.progress
        return Scrub(
            id=row.id,
            dataset=row.dataset,
            state=state,
            progress=progress,
            problem=row.problem,
            objects=row.objects,
            damaged=row.damaged,
            gone=row.gone,
            findings=[ScrubFinding.model_validate(finding) for finding in row.findings],
            created_at=row.created_at,
            finished_at=row.finished_at,
        )


async def _row(session: ReadSession, project: str, scrub: str) -> ScrubRow:
    row = await session.get(ScrubRow, scrub)
    if row is None or row.project != project:
        raise NotFound(f"There is no scrub {scrub} in project {project!r}")
    return row
