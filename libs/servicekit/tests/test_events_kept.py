"""Outbox and inbox below the bus: what was acknowledged is marked, what fails is set aside, letters are replayed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from capstan_contracts.errors import Code
from capstan_contracts.events import BatchQuarantined, Envelope, LabelsReceived
from capstan_contracts.ids import Urn, uuid7
from capstan_servicekit.bus.inbox import BACKOFF_S, Inbox, Subscriptions
from capstan_servicekit.bus.memory import MemoryBus
from capstan_servicekit.bus.outbox import BATCH, Outbox, Relay
from capstan_servicekit.bus.port import Ack, BusUnavailable, Message, Retry
from capstan_servicekit.clock import ManualClock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import DeadLetterRow, InboxRow, OutboxRow
from capstan_servicekit.errors import BadRequest, InvalidData, NotFound, NotReady
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import span, trace_id

START = datetime(2026, 1, 1, tzinfo=UTC)


class FailingAt(MemoryBus):
    """Takes so many messages, then is away until it is told otherwise."""

    def __init__(self, take: int) -> None:
        super().__init__()
        self.left = take

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        if self.left == 0:
            raise BusUnavailable("away")
        self.left -= 1
        await super().publish(subject, body, message_id=message_id)


class Sending:
    """An outbox and its relay."""

    def __init__(self, database: Database, take: int = 10_000) -> None:
        self.database, self.clock, self.bus, self.metrics = database, ManualClock(START), FailingAt(take), Metrics("t")
        self.outbox = Outbox(self.clock)
        self.relay = Relay(database, self.bus, self.clock, self.metrics)

    async def add(self, *numbers: int, project: str = "p") -> None:
        async with self.database.write() as session:
            for number in numbers:
                event = LabelsReceived(loop="m", source="s", labels=number, joined=0, unlabelled=0)
                self.outbox.add(session, event, project=project, subject=Urn(project, "loop", "m"))

    @property
    def sent(self) -> list[int]:
        return [json.loads(body)["data"]["labels"] for _, body in self.bus.log]

    async def waiting(self) -> int:
        async with self.database.read() as session:
            found = await session.scalar(sa.select(sa.func.count()).where(OutboxRow.published_at.is_(None)))
        return int(found or 0)


async def test_what_the_broker_took_before_it_went_away_is_not_sent_again(kit_database: Database) -> None:
    sending = Sending(kit_database, take=2)
    await sending.add(1, 2, 3, 4)
    with pytest.raises(BusUnavailable):
        await sending.relay.relay_once()
    assert sending.sent == [1, 2] and await sending.waiting() == 2
    assert sending.metrics.outbox._value.get() == 2
    sending.bus.left = 10
    assert await sending.relay.relay_once() == 2
    assert sending.sent == [1, 2, 3, 4] and sending.bus.left == 8
    assert await sending.relay.relay_once() == 0 and sending.metrics.outbox._value.get() == 0


async def test_a_long_outbox_leaves_in_batches_and_in_order(kit_database: Database) -> None:
    sending = Sending(kit_database)
    await sending.add(*range(BATCH + 1))
    assert [await sending.relay.relay_once() for _ in range(3)] == [BATCH, 1, 0]
    assert sending.sent == list(range(BATCH + 1))


async def test_an_event_belongs_to_its_transaction_and_to_the_story_that_caused_it(kit_database: Database) -> None:
    sending = Sending(kit_database)
    with pytest.raises(LookupError):
        async with sending.database.write() as session:
            event = LabelsReceived(loop="m", source="s", labels=0, joined=0, unlabelled=0)
            sending.outbox.add(session, event, project="p", subject=Urn("p", "loop", "m"))
            raise LookupError
    with span(None):
        story = trace_id()
        await sending.add(1)
    await sending.relay.relay_once()
    ((subject, body),) = sending.bus.log
    envelope = Envelope.model_validate_json(body)
    assert subject == "capstan.p.labels.received.v1" and envelope.subject == "capstan:p:loop/m"
    assert (envelope.traceparent or "")[3:35] == story and "null" not in body.decode()


async def test_a_lost_stream_is_filled_again_from_a_moment_on(kit_database: Database) -> None:
    sending = Sending(kit_database)
    for number in range(3):
        await sending.add(number)
        sending.clock.advance(timedelta(hours=1))
    await sending.relay.relay_once()
    await sending.add(3)  # not sent yet: it leaves anyway, and is not counted
    before = [json.loads(body)["id"] for _, body in sending.bus.log]
    sending.bus = FailingAt(10)
    relay = Relay(kit_database, sending.bus, sending.clock, sending.metrics)
    assert await relay.reconcile("p", timedelta(hours=2)) == 2
    await relay.relay_once()
    assert sending.sent == [1, 2, 3]
    assert [json.loads(body)["id"] for _, body in sending.bus.log][:2] == before[1:]


async def test_a_projects_events_alone_are_published_again(kit_database: Database) -> None:
    """`p` is also the beginning of another project's name."""
    sending = Sending(kit_database)
    await sending.add(1)
    await sending.add(2, project="p2")
    await sending.add(3, project="other")
    await sending.relay.relay_once()
    assert await sending.relay.reconcile("p", timedelta(hours=2)) == 1
    async with kit_database.read() as session:
        again = (await session.scalars(sa.select(OutboxRow.body).where(OutboxRow.published_at.is_(None)))).all()
    assert [json.loads(body)["data"]["labels"] for body in again] == [1]
    assert await sending.relay.relay_once() == 1


# -- the inbox

Handle = Callable[[WriteSession, Envelope, Any], Awaitable[None]]


class Taking:
    """An inbox that takes quarantined batches as a test says."""

    def __init__(self, database: Database, handle: Handle) -> None:
        self.database, self.clock, self.seen = database, ManualClock(START), list[str]()

        async def seeing(session: WriteSession, envelope: Envelope, event: BatchQuarantined) -> None:
            self.seen.append(event.partition)
            await handle(session, envelope, event)

        taken = Subscriptions({BatchQuarantined: seeing})
        self.inbox = Inbox("toy", database, MemoryBus(), taken, self.clock, Metrics("toy"))

    async def letters(self) -> list[DeadLetterRow]:
        async with self.database.read() as session:
            return list((await session.scalars(sa.select(DeadLetterRow).order_by(DeadLetterRow.id))).all())

    async def said(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.database.read() as session:
            rows = (await session.scalars(sa.select(OutboxRow).order_by(OutboxRow.sequence))).all()
        return [(row.bus_subject, json.loads(row.body)) for row in rows]


def message(envelope: Envelope | bytes, deliveries: int = 1, subject: str | None = None) -> Message:
    body = envelope if isinstance(envelope, bytes) else envelope.model_dump_json().encode()
    return Message(subject or "capstan.p.batch.quarantined.v1", body, deliveries)


def quarantined(partition: str = "one") -> Envelope:
    event = BatchQuarantined(dataset="d", batch="a" * 64, partition=partition, rows=1, failed=["x"], failing_rows=1)
    return event.envelope(project="p", subject="capstan:p:dataset/d")


async def nothing(session: WriteSession, envelope: Envelope, event: Any) -> None:
    return


def raising(*errors: BaseException) -> Handle:
    left = list(errors)

    async def handle(session: WriteSession, envelope: Envelope, event: Any) -> None:
        if left:
            raise left.pop(0)

    return handle


async def test_the_effect_and_the_note_of_it_are_one_transaction(kit_database: Database) -> None:
    async def half(session: WriteSession, envelope: Envelope, event: Any) -> None:
        session.add(OutboxRow(message_id=uuid7(), bus_subject="x", body="{}", created_at=START))
        await session.flush()
        raise RuntimeError("after half of it")

    taking = Taking(kit_database, half)
    assert await taking.inbox.handle(message(quarantined())) == Retry(BACKOFF_S[0])
    assert await taking.said() == []
    async with kit_database.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(InboxRow)) == 0


@pytest.mark.parametrize("deliveries", range(1, len(BACKOFF_S) + 2))
async def test_each_failure_waits_longer_and_the_sixth_is_the_last(kit_database: Database, deliveries: int) -> None:
    taking = Taking(kit_database, raising(RuntimeError("not now")))
    answer = await taking.inbox.handle(message(quarantined(), deliveries))
    if deliveries <= len(BACKOFF_S):
        assert answer == Retry(BACKOFF_S[deliveries - 1]) and await taking.letters() == []
    else:
        assert answer == Ack()
        (letter,) = await taking.letters()
        assert (letter.reason, letter.attempts, letter.failed_at) == ("RuntimeError: not now", deliveries, START)


async def test_a_part_that_is_away_never_costs_an_event(kit_database: Database) -> None:
    taking = Taking(kit_database, raising(NotReady("the database is away")))
    assert await taking.inbox.handle(message(quarantined(), 500)) == Retry(BACKOFF_S[-1])
    assert await taking.letters() == []


async def test_a_hopeless_event_is_set_aside_at_once_and_told_without_its_secrets(kit_database: Database) -> None:
    taking = Taking(kit_database, raising(BadRequest("cannot read s3://key:hunter2@bucket")))
    envelope = quarantined()
    assert await taking.inbox.handle(message(envelope)) == Ack()
    (letter,) = await taking.letters()
    assert (letter.project, letter.event_id, letter.event_type) == ("p", envelope.id, "batch.quarantined.v1")
    assert letter.reason == "BadRequest: cannot read s3://[redacted]@bucket" and not letter.replayed
    ((subject, body),) = await taking.said()
    assert subject == "capstan-dead.p.toy.batch.quarantined.v1"
    assert Envelope.model_validate_json(body["body"]) == envelope and "hunter2" not in body["reason"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\x00garbage", "unreadable event"),
        (b'{"id": "1"}', "unreadable event"),
        (b'{"specversion": "2.0"}', "unreadable event"),
        (quarantined().model_copy(update={"type": "moon.landed.v1"}).model_dump_json().encode(), "moon.landed.v1"),
        (quarantined().model_copy(update={"data": {"rows": "many"}}).model_dump_json().encode(), "rows"),
    ],
)
async def test_what_cannot_be_read_is_set_aside_and_its_replay_says_why(
    kit_database: Database, body: bytes, says: str
) -> None:
    taking = Taking(kit_database, nothing)
    assert await taking.inbox.handle(message(body)) == Ack() and taking.seen == []
    (letter,) = await taking.letters()
    assert says in letter.reason and "\x00" not in letter.body
    assert (letter.project, letter.event_type) == ("p", "batch.quarantined.v1")
    with pytest.raises(InvalidData, match="cannot be read") as refused:
        await taking.inbox.replay("p", letter.id)
    assert refused.value.permanent and refused.value.hint
    assert [letter.replayed for letter in await taking.letters()] == [False]


async def test_an_event_that_nobody_here_takes_any_more_is_named_on_replay(kit_database: Database) -> None:
    taking = Taking(kit_database, raising(BadRequest("no")))
    await taking.inbox.handle(message(quarantined()))
    (letter,) = await taking.letters()
    later = Inbox("toy", kit_database, MemoryBus(), Subscriptions({}), taking.clock, Metrics("toy"))
    with pytest.raises(BadRequest, match="takes no events of type 'batch.quarantined.v1'"):
        await later.replay("p", letter.id)


async def test_a_replay_has_the_effect_once_and_marks_the_letter(kit_database: Database) -> None:
    taking = Taking(kit_database, raising(BadRequest("no"), BadRequest("still not")))
    await taking.inbox.handle(message(quarantined("one")))
    (letter,) = await taking.letters()
    with pytest.raises(BadRequest, match="still not"):
        await taking.inbox.replay("p", letter.id)
    assert not (await taking.letters())[0].replayed
    for _ in range(2):
        await taking.inbox.replay("p", letter.id)
    assert (await taking.letters())[0].replayed and taking.seen == ["one", "one", "one"]


async def test_a_letter_of_another_project_is_not_there(kit_database: Database) -> None:
    taking = Taking(kit_database, raising(BadRequest("no")))
    await taking.inbox.handle(message(quarantined()))
    (letter,) = await taking.letters()
    with pytest.raises(NotFound) as refused:
        await taking.inbox.replay("q", letter.id)
    assert refused.value.problem_code is Code.NOT_FOUND and taking.seen == ["one"]
