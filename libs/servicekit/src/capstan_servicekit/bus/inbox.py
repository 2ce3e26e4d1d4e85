"""The event side: each event has its effect once, a failing one is retried with back-off, a hopeless one is set aside.

Effect and inbox row share one transaction, so a redelivered event finds its row and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from capstan_contracts.events import Envelope, Event, payload
from capstan_contracts.ids import uuid7
from capstan_servicekit.bus.port import Ack, Bus, Message, Retry
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import DeadLetterRow, InboxRow, OutboxRow
from capstan_servicekit.errors import BadRequest, CapstanError, InvalidData, NotFound, NotReady
from capstan_servicekit.security.redact import redact_text
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import span

log = logger(__name__)

Subscriber = Callable[[WriteSession, Envelope, Any], Awaitable[None]]
"""Takes the transaction, the envelope and the typed payload; writes rows and enqueues work, never calls out."""

BACKOFF_S = (0.2, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Subscriptions:
    """Which events a service takes: event class -> what to do."""

    handlers: Mapping[type[Event], Subscriber]

    @property
    def subjects(self) -> list[str]:
        """Bus subjects, over all projects."""
        return sorted(f"capstan.*.{event.TYPE}" for event in self.handlers)


class Inbox:
    """Consumes the bus for one service."""

    def __init__(
        self, service: str, database: Database, bus: Bus, subscriptions: Subscriptions, clock: Clock, metrics: Metrics
    ) -> None:
        self._service, self._database, self._bus, self._clock = service, database, bus, clock
        self._handlers = {event.TYPE: handler for event, handler in subscriptions.handlers.items()}
        self._subjects, self._metrics = subscriptions.subjects, metrics

    async def run(self) -> None:
        """Consume until cancelled."""
        if self._subjects:
            await self._bus.consume(self._service, self._subjects, self.handle)

    async def handle(self, message: Message) -> Ack | Retry:
        """One delivery."""
        try:
            envelope = Envelope.model_validate_json(message.body)
            event = payload(envelope)
        except ValueError as error:  # pydantic's ValidationError is one
            await self._set_aside(message, None, f"unreadable event: {error}")
            return Ack()
        with span(envelope.traceparent):
            return await self._deliver(message, envelope, event)

    async def _deliver(self, message: Message, envelope: Envelope, event: Event) -> Ack | Retry:
        try:
            await self._once(envelope, event)
        except Exception as error:  # noqa: BLE001 - the process edge: whatever a handler raises must not stop the consumer
            hopeless = isinstance(error, CapstanError) and error.permanent
            away = isinstance(error, NotReady)  # comes back: no reason to give the event up
            if hopeless or (message.deliveries > len(BACKOFF_S) and not away):
                await self._set_aside(message, envelope, f"{type(error).__name__}: {error}")
                return Ack()
            log.warning(
                "event.retry", type=envelope.type, event_id=envelope.id, attempt=message.deliveries, error=str(error)
            )
            self._metrics.events.labels(envelope.type, "retried").inc()
            return Retry(BACKOFF_S[min(message.deliveries, len(BACKOFF_S)) - 1])
        return Ack()

    async def _once(self, envelope: Envelope, event: Event) -> None:
        async with self._database.write() as session:
            if await session.get(InboxRow, envelope.id) is not None:
                self._metrics.events.labels(envelope.type, "duplicate").inc()
                return
            session.add(InboxRow(event_id=envelope.id, event_type=envelope.type, handled_at=self._clock.now()))
            await self._handlers[envelope.type](session, envelope, event)
        self._metrics.events.labels(envelope.type, "handled").inc()

    async def _set_aside(self, message: Message, envelope: Envelope | None, reason: str) -> None:
        tokens = message.subject.split(".")
        project = envelope.project if envelope else (tokens[1] if len(tokens) > 2 else "default")
        event_type = envelope.type if envelope else ".".join(tokens[2:])
        letter_id, reason = uuid7(), _storable(redact_text(reason)[:2000])
        body = _storable(message.body.decode("utf-8", "replace"))
        async with self._database.write() as session:
            session.add(
                DeadLetterRow(
                    id=letter_id,
                    project=project,
                    event_id=envelope.id if envelope else "",
                    event_type=event_type,
                    reason=reason,
                    attempts=message.deliveries,
                    body=body,
                    failed_at=self._clock.now(),
                    replayed=False,
                )
            )
            session.add(
                OutboxRow(
                    message_id=letter_id,
                    bus_subject=f"capstan-dead.{project}.{self._service}.{event_type}",
                    body=json.dumps({"reason": reason, "attempts": message.deliveries, "body": body}),
                    created_at=self._clock.now(),
                )
            )
        self._metrics.events.labels(event_type, "dead").inc()
        log.error("event.dead_letter", type=event_type, reason=reason, letter=letter_id)

    async def replay(self, project: str, letter_id: str) -> None:
        """Hand a dead letter to its handler again; what it raises is the caller's answer.

        NotFound; InvalidData for one that cannot be read, BadRequest for one of a type that is not taken any more.
        """
        async with self._database.read() as session:
            letter = await session.scalar(
                select(DeadLetterRow).where(DeadLetterRow.id == letter_id, DeadLetterRow.project == project)
            )
        if letter is None:
            raise NotFound(f"no dead letter {letter_id} in project {project}")
        try:
            envelope = Envelope.model_validate_json(letter.body)
            event = payload(envelope)
        except ValueError as error:
            raise InvalidData(
                f"dead letter {letter_id} cannot be read: {letter.reason}",
                hint="Its sender has to send a readable event; this one stays here as evidence.",
            ) from error
        if envelope.type not in self._handlers:
            raise BadRequest(f"{self._service} takes no events of type {envelope.type!r}")
        with span(envelope.traceparent):
            await self._once(envelope, event)
        async with self._database.write() as session:
            row = await session.get(DeadLetterRow, letter_id)
            if row is not None:
                row.replayed = True


def _storable(text: str) -> str:
    """The text without the one character that PostgreSQL has no place for."""
    return text.replace("\x00", "\ufffd")
