"""What both databases promise, and what two replicas on one PostgreSQL may rely on."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from capstan_contracts.events import LabelsReceived
from capstan_contracts.ids import Urn, uuid7
from capstan_servicekit.bus.inbox import Inbox, Subscriptions
from capstan_servicekit.bus.memory import MemoryBus
from capstan_servicekit.bus.outbox import Outbox, Relay
from capstan_servicekit.bus.port import Ack, Message
from capstan_servicekit.clock import SystemClock
from capstan_servicekit.db.idempotency import recall, remember
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import IdempotencyRow, InboxRow, KitBase, OutboxRow, WorkRow
from capstan_servicekit.errors import Invalid, NotReady
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.work.kinds import WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.loop import WorkLoop
from capstan_servicekit.work.queue import WorkQueue
from capstan_testkit.toy_work import OneAttempt, ThreeAtOnce, Toil

if TYPE_CHECKING:
    from capstan_testkit.containers import PostgresServer

PATIENCE = ("lock_timeout", "idle_in_transaction_session_timeout")
NOW = SystemClock().now()
Pair = tuple[Database, Database]


@pytest.fixture
async def pair(database_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two replicas' views of one database that has the chassis' tables."""
    url = database_url or f"sqlite+aiosqlite:///{tmp_path / 'pair.db'}"
    first, second = Database(url), Database(url)
    async with first.engine.begin() as connection:
        await connection.run_sync(KitBase.metadata.create_all)
    yield first, second
    await first.close()
    await second.close()


class SlowBus(MemoryBus):
    """Takes a moment for each message, and remembers also those that it had before."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_over: list[bytes] = []

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        self.handed_over.append(body)
        await asyncio.sleep(0.002)
        await super().publish(subject, body, message_id=message_id)


def event(number: int) -> LabelsReceived:
    return LabelsReceived(loop="m", source="s", labels=number, joined=0, unlabelled=0)


def item(key: str, count: int = 0) -> WorkRow:
    return WorkRow(
        id=uuid7(), kind="toil", key=key, project="p", payload={}, state="queued", fence=count, attempts=0,
        not_before=NOW, progress={}, cancel_requested=False, created_at=NOW,
    )  # fmt: skip


async def test_what_a_write_has_read_stays_true_until_it_commits(pair: Pair) -> None:
    """Counting on from the largest number: the ledger, dataset versions and revisions of deployments do it."""

    async def count_on(database: Database) -> None:
        async with database.write() as session:
            last = await session.scalar(sa.select(sa.func.max(WorkRow.fence)))
            await asyncio.sleep(0.005)
            session.add(item(uuid7(), (last or 0) + 1))

    await asyncio.gather(*(count_on(pair[number % 2]) for number in range(24)))
    async with pair[0].read() as session:
        found = (await session.scalars(sa.select(WorkRow.fence).order_by(WorkRow.fence))).all()
    assert found == list(range(1, 25))


async def test_more_writers_than_connections_leave_one_for_a_reader(pair: Pair) -> None:
    async def write_and_read() -> None:
        async with pair[0].write() as session:
            session.add(item(uuid7()))
            async with pair[0].read() as reading:
                await reading.scalar(sa.select(sa.func.count()).select_from(OutboxRow))

    count = 30 if not pair[0].sqlite else 3
    async with asyncio.timeout(10):
        await asyncio.gather(*(write_and_read() for _ in range(count)))


async def test_a_read_sees_one_moment_and_cannot_write(pair: Pair) -> None:
    async with pair[0].read() as session:
        count = sa.select(sa.func.count()).select_from(WorkRow)
        assert await session.scalar(count) == 0
        async with pair[1].write() as other:
            other.add(item("a"))
        assert await session.scalar(count) == 0
        if not pair[0].sqlite:
            with pytest.raises(DBAPIError, match="read-only"):
                await session.execute(sa.delete(WorkRow))
    async with pair[0].read() as session:
        assert await session.scalar(count) == 1


async def test_the_same_work_and_the_same_key_are_taken_once(pair: Pair) -> None:
    queue = WorkQueue(SystemClock())

    async def ask(database: Database) -> tuple[bool, bool]:
        async with database.write() as session:
            new = await recall(session, "p", "key", "print") is None
            if new:
                remember(session, "p", "key", "print", {"id": 1}, NOW)
            return new, await queue.add(session, Toil("one"), project="p")

    answers = await asyncio.gather(*(ask(pair[number % 2]) for number in range(10)))
    assert sorted(answers) == [(False, False)] * 9 + [(True, True)]
    async with pair[0].read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(IdempotencyRow)) == 1


async def test_an_event_that_two_replicas_are_handed_has_one_effect(pair: Pair) -> None:
    seen: list[int] = []

    async def handler(session: WriteSession, envelope: object, told: LabelsReceived) -> None:
        await asyncio.sleep(0.02)
        seen.append(told.labels)

    subscriptions = Subscriptions({LabelsReceived: handler})
    metrics, bus, clock = Metrics("toy"), MemoryBus(), SystemClock()
    inboxes = [Inbox("toy", database, bus, subscriptions, clock, metrics) for database in pair]
    envelope = event(7).envelope(project="p", subject=str(Urn("p", "loop", "m")))
    message = Message(subject="capstan.p.x", body=envelope.model_dump_json().encode(), deliveries=1)
    assert await asyncio.gather(*(one.handle(message) for one in (*inboxes, *inboxes))) == [Ack()] * 4
    assert seen == [7]
    async with pair[0].read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(InboxRow)) == 1


async def test_two_relays_publish_each_event_once_and_in_the_order_of_the_commits(pair: Pair) -> None:
    clock, bus, metrics = SystemClock(), SlowBus(), Metrics("toy")
    outbox = Outbox(clock)

    async def add(database: Database, number: int) -> None:
        async with database.write() as session:
            outbox.add(session, event(number), project="p", subject=Urn("p", "loop", "m"))

    relays = [Relay(database, bus, clock, metrics) for database in (pair if not pair[0].sqlite else pair[:1])]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    await bus.connect()
    await asyncio.gather(*(add(pair[number % 2], number) for number in range(60)))
    async with asyncio.timeout(10):
        while len(bus.log) < 60:  # noqa: ASYNC110 - the bus tells nobody
            await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with pair[0].read() as session:
        bodies = list((await session.scalars(sa.select(OutboxRow.body).order_by(OutboxRow.sequence))).all())
    assert [body.decode() for body in bus.handed_over] == bodies


async def test_two_work_loops_do_each_item_once(pair: Pair) -> None:
    done: list[str] = []

    async def run(work: WorkItem[Toil], lease: Lease) -> None:
        async with lease.finish():
            done.append(work.key)

    loops = [WorkLoop(database, [ThreeAtOnce(run)], SystemClock(), Metrics("toy")) for database in pair]
    async with pair[0].write() as session:
        session.add_all(item(f"toil:p:{number}") for number in range(12))
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    async with asyncio.timeout(15):
        while len(done) < 12:  # noqa: ASYNC110 - the loops tell nobody
            await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(done) == sorted(str(number) for number in range(12))


async def test_a_work_loop_that_ends_gives_its_work_back_as_if_it_had_not_begun(pair: Pair) -> None:
    begun, done = asyncio.Event(), asyncio.Event()
    attempts: list[int] = []

    async def run(work: WorkItem[Toil], lease: Lease) -> None:
        attempts.append(work.attempt)
        begun.set()
        if len(attempts) == 1:
            await asyncio.Event().wait()
        async with lease.finish():
            done.set()

    first, second = (
        WorkLoop(database, [OneAttempt(run)], SystemClock(), Metrics("toy"), lease_s=60) for database in pair
    )
    async with pair[0].write() as session:
        session.add(item("toil:p:1"))
    async with asyncio.timeout(15):
        running = asyncio.create_task(first.run())
        await begun.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        running = asyncio.create_task(second.run())
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert attempts == [1, 1]


async def test_a_closed_database_is_not_opened_again_by_whoever_comes_late(pair: Pair) -> None:
    await pair[0].close()
    with pytest.raises(NotReady, match="is closed"):
        async with pair[0].read():
            pass


async def test_documents_come_back_as_they_were_written(pair: Pair) -> None:
    given = {"zz": 1e22, "a": [1.0, 1e-9, None], "z": {"b": 1, "a": 0.1}, "ä": "é\U0001f600\x00"}
    async with pair[0].write() as session:
        row = item("a")
        row.payload = given
        session.add(row)
    async with pair[0].read() as session:
        found = await session.scalar(sa.select(WorkRow.payload))
    assert repr(found) == repr(given)
    with pytest.raises(sa.exc.StatementError, match="not JSON compliant"):
        async with pair[0].write() as session:
            row = item("b")
            row.payload = {"figure": float("nan")}
            session.add(row)


async def test_a_cancelled_statement_has_ended_when_the_database_is_closed(tmp_path: Path) -> None:
    """Its thread waits for the lock that another process has, and would answer to a loop that is gone."""
    path, others = tmp_path / "held.db", set(threading.enumerate())
    held = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database = Database(f"sqlite+aiosqlite:///{path}")
    async with database.write():
        pass
    held.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with database.write():
            raise AssertionError("the lock was held")

    writing = asyncio.create_task(write())
    for _ in range(2):  # the first one is held up by the closing of the connection
        await asyncio.sleep(0.1)
        writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    threading.Timer(0.3, held.close).start()
    await database.close()
    left = [thread for thread in set(threading.enumerate()) - others if "_connection_worker_thread" in thread.name]
    assert left == []


async def test_closing_does_not_wait_for_a_session_that_goes_on(tmp_path: Path) -> None:
    """Its connection is closed when the session ends: its thread would keep the process from exiting."""
    others, database = set(threading.enumerate()), Database(f"sqlite+aiosqlite:///{tmp_path / 'open.db'}")
    started = time.monotonic()
    async with database.write(), database.read() as session:
        await database.close()
        assert time.monotonic() - started < 2
        assert await session.scalar(sa.select(1)) == 1
    for thread in set(threading.enumerate()) - others:
        if "_connection_worker_thread" in thread.name:
            thread.join(2)
            assert not thread.is_alive()


@pytest.mark.parametrize("field", ["key", "owner", "attempts"])
async def test_postgres_refuses_what_a_column_cannot_hold_as_the_callers_mistake(
    new_postgres: Callable[[], str], field: str
) -> None:
    database = Database(new_postgres())
    async with database.engine.begin() as connection:
        await connection.run_sync(KitBase.metadata.create_all)
    row = item("a")
    setattr(row, field, {"key": "k" * 300, "owner": "a\x00b", "attempts": 1 << 40}[field])
    with pytest.raises(Invalid):
        async with database.write() as session:
            session.add(row)
    await database.close()


async def test_replicas_that_start_together_migrate_once(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    code = f"from capstan_servicekit.db.migrate import upgrade; upgrade({url!r}, 'capstan_registry.migrations')"
    replicas = [await asyncio.create_subprocess_exec(sys.executable, "-c", code) for _ in range(2)]
    assert await asyncio.gather(*(replica.wait() for replica in replicas)) == [0, 0]
    database = Database(url)
    async with database.read() as session:
        found = (await session.scalars(sa.text("SELECT version_num FROM alembic_version"))).all()
    revisions = (resources.files("capstan_registry.migrations") / "versions").iterdir()
    newest = max(path.name[:4] for path in revisions if path.name.endswith(".py"))
    assert found == [newest]
    await database.close()


async def test_a_process_that_hangs_while_it_writes_does_not_stop_the_others_for_ever(
    new_postgres: Callable[[], str],
) -> None:
    database = Database(new_postgres())
    async with database.write() as session:
        patience = [await session.scalar(sa.text(f"SHOW {name}")) for name in PATIENCE]
    assert patience == ["15s", "1min"]
    await database.close()


@pytest.mark.containers
@pytest.mark.parametrize(
    "promise",
    [
        test_what_a_write_has_read_stays_true_until_it_commits, test_a_read_sees_one_moment_and_cannot_write,
        test_two_relays_publish_each_event_once_and_in_the_order_of_the_commits, test_two_work_loops_do_each_item_once,
    ],
)  # fmt: skip
async def test_the_public_image_over_tcp_keeps_the_same_promises(
    promise: Callable[[Pair], Awaitable[None]], postgres_in_container: PostgresServer
) -> None:
    url = await asyncio.to_thread(postgres_in_container.create)
    first, second = Database(url), Database(url)
    async with first.engine.begin() as connection:
        await connection.run_sync(KitBase.metadata.create_all)
    await promise((first, second))
    await first.close()
    await second.close()
