"""Transactional outbox: an event is committed with the state change it tells of, then relayed to the bus.

Source: Richardson, Microservices Patterns, 3.3.7 "Transactional outbox".
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import func, select, update

from capstan_contracts.events import Event, bus_subject
from capstan_contracts.ids import Urn
from capstan_servicekit.bus.port import Bus, BusUnavailable
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import RELAYING, Database, WriteSession
from capstan_servicekit.db.tables import OutboxRow
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import child_of, traceparent

log = logger(__name__)
BATCH = 100


class Outbox:
    """Adds events to a transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def add(self, session: WriteSession, event: Event, *, project: str, subject: Urn) -> str:
        """Write the event in the caller's transaction; its id. `subject` is what the event is about."""
        envelope = event.envelope(project=project, subject=str(subject), traceparent=child_of(traceparent()))
        session.add(
            OutboxRow(
                message_id=envelope.id,
                bus_subject=bus_subject(project, envelope.type),
                body=envelope.model_dump_json(exclude_none=True),
                created_at=self._clock.now(),
            )
        )
        return envelope.id


class Relay:
    """Publishes committed events in order and marks them once the broker has acknowledged."""

    def __init__(self, database: Database, bus: Bus, clock: Clock, metrics: Metrics) -> None:
        self._database, self._bus, self._clock, self._metrics = database, bus, clock, metrics
        self._wake = asyncio.Event()
        database.on_commit(self._wake.set)

    async def run(self) -> None:
        """Relay until cancelled; a broker that is away delays, and loses nothing."""
        pause = 0.1
        while True:
            self._wake.clear()
            try:
                sent = await self.relay_once()
                pause = 0.1
            except BusUnavailable as error:
                log.warning("outbox.waiting_for_broker", error=str(error))
                sent, pause = 0, min(pause * 2, 5.0)
                await asyncio.sleep(pause)
                continue
            if sent is None:
                await asyncio.sleep(0.1)
            elif sent < BATCH:
                await self._sleep()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._wake.wait()
        except TimeoutError:
            return

    async def relay_once(self) -> int | None:
        """Publish one batch; how many rows were published. None: another replica is at it, and order needs one."""
        async with self._database.alone(RELAYING) as mine:
            return await self._relay() if mine else None

    async def _relay(self) -> int:
        async with self._database.read() as session:
            query = select(OutboxRow).where(OutboxRow.published_at.is_(None)).order_by(OutboxRow.sequence).limit(BATCH)
            rows = list((await session.scalars(query)).all())
        done: list[int] = []
        try:
            for row in rows:
                await self._bus.publish(row.bus_subject, row.body.encode(), message_id=row.message_id)
                done.append(row.sequence)
        finally:
            if done:
                async with self._database.write() as session:
                    await session.execute(
                        update(OutboxRow).where(OutboxRow.sequence.in_(done)).values(published_at=self._clock.now())
                    )
            self._metrics.outbox.set(len(rows) - len(done))
        return len(done)

    async def reconcile(self, project: str, since: timedelta) -> int:
        """Publish again what a project's events were within `since`: for a stream that was lost.

        Inboxes drop what they know. The number of events.
        """
        async with self._database.write() as session:
            lost = (
                OutboxRow.published_at.is_not(None),
                OutboxRow.created_at >= self._clock.now() - since,
                OutboxRow.bus_subject.startswith(bus_subject(project, ""), autoescape=True),
            )
            found = await session.scalar(select(func.count()).where(*lost))
            await session.execute(update(OutboxRow).where(*lost).values(published_at=None))
        return int(found or 0)
