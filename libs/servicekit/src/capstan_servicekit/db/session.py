"""One request, message or step of work = one transaction; whether it writes is a type.

`async with database.read() as session` gives a `ReadSession`; `async with database.write() as session` a
`WriteSession`, committed when the block ends and rolled back when it raises. Nothing else commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NewType

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

ReadSession = NewType("ReadSession", AsyncSession)
WriteSession = NewType("WriteSession", ReadSession)


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
        self._committed: list[Callable[[], None]] = []

    def on_commit(self, notify: Callable[[], None]) -> None:
        """Call `notify` after each committed write: wakes the relay and the work loop."""
        self._committed.append(notify)

    @property
    def engine(self) -> AsyncEngine:
        """The engine, made on first use: never before a fork."""
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _make_engine(self) -> AsyncEngine:
        if not self.sqlite:
            return create_async_engine(self.url, pool_size=5, max_overflow=5, pool_pre_ping=True)
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(self.url, pool_size=3, max_overflow=5)
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
        return engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session that only reads; whatever it holds at the end is rolled back."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            if self.sqlite:
                await (await session.connection()).exec_driver_sql("BEGIN")
            try:
                yield ReadSession(session)
            finally:
                session.expunge_all()  # a rollback would expire what was read, and the rows outlive the session
                await session.rollback()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            if self.sqlite:
                # Take the write lock at once: a read that turns into a write later could not wait for it.
                await (await session.connection()).exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield WriteSession(ReadSession(session))
                await session.commit()
            except BaseException:
                await session.rollback()
                raise
        for notify in self._committed:
            notify()

    async def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
