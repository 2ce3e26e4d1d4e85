"""One request, message or step of work = one transaction; whether it writes is a type.

`async with database.read() as session` gives a `ReadSession`; `async with database.write() as session` a
`WriteSession`, committed when the block ends and rolled back when it raises. Nothing else commits.

Both databases promise the same. A read sees one moment. Writes happen one after the other, so what a write has read
stays true until it commits: numbers may be counted on, "there is none yet" may be acted on, and the outbox is in the
order of the commits. SQLite has one writer by nature; PostgreSQL gets an advisory lock that the replicas share. Writes
are short (no call leaves the process inside one), and prediction traffic never writes here, so one writer suffices.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final, NewType
from weakref import WeakKeyDictionary, WeakSet

import aiosqlite
from sqlalchemy import event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from capstan_servicekit.db.diagnosis import diagnose, foreign_errors
from capstan_servicekit.errors import Invalid, NotReady, broken

ReadSession = NewType("ReadSession", AsyncSession)
WriteSession = NewType("WriteSession", ReadSession)


_LAST_ANSWER_S: Final = 16.0
"""A little more than `busy_timeout`."""
_THREAD: Final = "capstan thread"
WRITING, MIGRATING, RELAYING = 1, 2, 3
"""Keys of advisory locks; they count within one database, and each service has its own."""

_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

# What ends a connection whose process hangs while others wait for its locks. As patient as SQLite is here.
_POSTGRES = {
    "lock_timeout": "15s", "idle_in_transaction_session_timeout": "60s",
    # A plan that is kept for any values reads a table of 30,000 rows once per value of a long IN list.
    "plan_cache_mode": "force_custom_plan",
}  # fmt: skip


def _document(value: Any) -> str:
    # PostgreSQL refuses NaN in a document; SQLite would keep it, so that nobody notices before the cluster does.
    return json.dumps(value, allow_nan=False)


@contextmanager
def _refusing() -> Iterator[None]:
    """Invalid for a value that no column can hold (SQLSTATE class 22): too long, out of range, with a NUL character."""
    try:
        yield
    except DBAPIError as error:
        if not str(getattr(error.orig, "sqlstate", "") or "").startswith("22"):
            raise
        rule = "short enough, within 32 bits where it counts something, without NUL characters"
        raise Invalid("A value cannot be stored or looked for", errors=broken("value", rule)) from error


def _sqlite_pragmas(connection: Any, _: Any) -> None:
    # The driver's own transaction handling is switched off, so that BEGIN IMMEDIATE below is the only one.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000", "cache_size=-2000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Database:
    """The service's own database: SQLite (WAL) on a laptop, PostgreSQL on a cluster."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._engine: AsyncEngine | None = None
        self._foreign = foreign_errors(self.url)
        self._turn = asyncio.Lock()
        self._committed: list[Callable[[], None]] = []
        self._closed = False
        self._threads: WeakSet[Thread] = WeakSet()
        self._borrowers: WeakKeyDictionary[Thread, asyncio.Task[Any] | None] = WeakKeyDictionary()

    def on_commit(self, notify: Callable[[], None]) -> None:
        """Call `notify` after each committed write: wakes the relay and the work loop."""
        self._committed.append(notify)

    @property
    def engine(self) -> AsyncEngine:
        """The engine, made on first use: never before a fork. NotReady after `close`."""
        if self._closed:
            raise NotReady("the service is ending, and its database is closed")
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _make_engine(self) -> AsyncEngine:
        if not self.sqlite:
            return create_async_engine(
                self.url, pool_size=5, max_overflow=5, pool_pre_ping=True, json_serializer=_document,
                connect_args={"server_settings": _POSTGRES},
            )  # fmt: skip
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(
            self.url, pool_size=3, max_overflow=5, json_serializer=_document,
            connect_args={"async_creator_fn": self._new_connection},
        )  # fmt: skip
        for moment, listener in (
            ("connect", _sqlite_pragmas), ("connect", self._know_thread), ("checkout", self._lend),
            ("checkin", self._take_back), ("invalidate", self._abandon),
        ):  # fmt: skip
            event.listen(engine.sync_engine, moment, listener)
        return engine

    def _new_connection(self, *place: Any, **options: Any) -> aiosqlite.Connection:
        """aiosqlite has a thread for each connection, and no public name for it. Known before it is started: whoever
        opens the connection may be cancelled meanwhile.
        """
        connection = aiosqlite.connect(*place, **options)
        connection._thread.daemon = True  # as SQLAlchemy has it where it connects itself
        self._threads.add(connection._thread)
        return connection

    def _know_thread(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info[_THREAD] = connection.driver_connection._thread

    def _lend(self, _: Any, entry: ConnectionPoolEntry, __: Any) -> None:
        self._borrowers[entry.info[_THREAD]] = asyncio.current_task()

    def _take_back(self, _: Any, entry: ConnectionPoolEntry) -> None:
        if entry.dbapi_connection is None:
            return  # it was given up before, and `_abandon` told
        self._borrowers.pop(entry.info[_THREAD], None)
        if self._closed:
            entry.close()  # its pool is gone, so that nobody else would

    def _abandon(self, _: Any, entry: ConnectionPoolEntry, __: BaseException | None) -> None:
        """Its caller is gone, or it is broken: nobody gives it back."""
        self._borrowers.pop(entry.info[_THREAD], None)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """NotReady when the database is away, full, or refuses us; other errors as they are."""
        try:
            yield
        except self._foreign as error:
            if (diagnosis := diagnose(error, self.url)) is None:
                raise
            raise NotReady(
                diagnosis.sentence, hint="Nothing was lost; it goes on by itself once this is mended."
            ) from error

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """NotReady when the database goes away under a statement. OSError is not looked at: it may be the caller's."""
        try:
            yield
        except DBAPIError as error:
            if (diagnosis := diagnose(error, self.url)) is None:
                raise
            raise NotReady(
                diagnosis.sentence, hint="Nothing was lost; it goes on by itself once this is mended."
            ) from error

    async def check(self) -> str | None:
        """For readiness: what keeps the database from being used."""
        try:
            async with asyncio.timeout(3), self.read() as session:
                await session.execute(select(1))
        except TimeoutError:
            return "the database does not answer within 3 s"
        except NotReady as error:
            return error.detail
        return None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session that only reads; whatever it holds at the end is rolled back."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            with self._reaching():
                if self.sqlite:
                    await (await session.connection()).exec_driver_sql("BEGIN")
                else:
                    await session.connection(execution_options=_SNAPSHOT)
            try:
                with self._losing(), _refusing():
                    yield ReadSession(session)
            finally:
                session.expunge_all()  # a rollback would expire what was read, and the rows outlive the session
                await session.rollback()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        async with self._one_writer(), AsyncSession(self.engine, expire_on_commit=False) as session:
            with self._reaching():
                if self.sqlite:
                    # Take the write lock at once: a read that turns into a write later could not wait for it.
                    await (await session.connection()).exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    # Each statement after this one sees all that was committed before the lock was got.
                    await session.execute(select(func.pg_advisory_xact_lock(WRITING)))
            try:
                with self._losing(), _refusing():
                    yield WriteSession(ReadSession(session))
                    await session.commit()
            except BaseException:
                await session.rollback()
                raise
        for notify in self._committed:
            notify()

    @asynccontextmanager
    async def _one_writer(self) -> AsyncIterator[None]:
        """On PostgreSQL this process's writers queue here, so that waiting ones do not use up the connections."""
        if self.sqlite:
            yield
            return
        async with self._turn:
            yield

    @asynccontextmanager
    async def alone(self, key: int) -> AsyncIterator[bool]:
        """Whether no other replica is within a block of the same key now. SQLite: there is one process, so yes."""
        if self.sqlite:
            yield True
            return
        async with AsyncExitStack() as stack:
            with self._reaching():
                connection = await stack.enter_async_context(self.engine.begin())
                mine = bool(await connection.scalar(select(func.pg_try_advisory_xact_lock(key))))
            yield mine

    async def close(self) -> None:
        """Close all connections, and open no others for whoever comes late.

        One that a session still has is closed when the session ends, and is not waited for.
        """
        self._closed = True
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
        # A statement whose caller was cancelled goes on in its thread, for 15 s where it waits for a lock, and then
        # answers to this loop: which must be there until then.
        until = time.monotonic() + _LAST_ANSWER_S
        held = {thread for thread, task in self._borrowers.items() if task is not None and not task.done()}
        for thread in {thread for thread in self._threads if thread.is_alive()} - held:
            await asyncio.to_thread(thread.join, max(0.0, until - time.monotonic()))
