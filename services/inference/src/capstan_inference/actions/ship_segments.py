"""Bring closed log segments to the object store and tell of them: each exactly once, in one transaction."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from capstan_contracts.events import PredictionsLogged
from capstan_contracts.ids import Urn
from capstan_contracts.rest.inference import FlushResult
from capstan_inference.actions.ports import ModelServer, SealedSegment, SegmentSummary, Spool
from capstan_inference.tables import SegmentRow, deployment_row
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import CapstanError
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
EVERY_S = 0.5


class ShipSegments:
    """The shipper. A segment's row is keyed by the digest of its bytes, so that a crash anywhere repeats nothing."""

    def __init__(
        self, database: Database, objects: ObjectStore, outbox: Outbox, spool: Spool, server: ModelServer
    ) -> None:
        self._database, self._objects, self._outbox = database, objects, outbox
        self._spool, self._server = spool, server
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled; what cannot be shipped now is tried again."""
        while True:
            try:
                async with self._one_at_a_time:
                    for segment in await self._spool.sealed():
                        await self._ship(segment)
            except (OSError, SQLAlchemyError, CapstanError) as error:
                log.warning("segments.not_shipped", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def flush(self, project: str, deployment: str) -> FlushResult:
        """Seal the open segment of a deployment and ship all of its closed ones before answering."""
        async with self._database.read() as session:
            await deployment_row(session, project, deployment)
        async with self._one_at_a_time:
            flushed = await self._server.flush(project, deployment)
            digest, rows = (flushed[-1].segment if flushed else None), sum(segment.rows for segment in flushed)
            for segment in await self._spool.sealed():
                if (segment.project, segment.deployment) == (project, deployment):
                    shipped = await self._ship(segment)
                    if shipped is not None:
                        digest, rows = shipped[0], rows + shipped[1]
        return FlushResult(segment=digest, rows=rows)

    async def _ship(self, segment: SealedSegment) -> tuple[str, int] | None:
        """(digest, rows) of a shipped segment; None for a damaged one, which is set aside."""
        summary = await self._spool.summary(segment)
        if summary is None:
            log.error("segment.damaged", project=segment.project, segment=segment.path.name)
            await self._spool.set_aside(segment)
            return None
        digest = await self.publish(segment, summary)
        with suppress(FileNotFoundError):
            await self._spool.drop(segment)
        return digest, summary.rows

    async def publish(self, segment: SealedSegment, summary: SegmentSummary) -> str:
        """Store a segment and tell of it; its digest. The same bytes again change nothing."""
        digest = await self._objects.put_file(segment.project, segment.path)
        async with self._database.write() as session:
            if await session.get(SegmentRow, (segment.project, digest)) is None:
                session.add(_row(segment, digest, summary))
                event = PredictionsLogged(
                    deployment=segment.deployment,
                    segment=digest,
                    records=summary.records,
                    rows=summary.rows,
                    first_event_time=summary.first_event_time,
                    last_event_time=summary.last_event_time,
                    closed_at=summary.closed_at,
                )
                subject = Urn(segment.project, "segment", digest)
                self._outbox.add(session, event, project=segment.project, subject=subject)
        return digest


def _row(segment: SealedSegment, digest: str, summary: SegmentSummary) -> SegmentRow:
    return SegmentRow(
        project=segment.project,
        digest=digest,
        deployment=segment.deployment,
        first_ms=summary.first_ms,
        last_ms=summary.last_ms,
        first_event_time=summary.first_event_time,
        last_event_time=summary.last_event_time,
        records=summary.records,
        rows=summary.rows,
        closed_at=summary.closed_at,
    )
