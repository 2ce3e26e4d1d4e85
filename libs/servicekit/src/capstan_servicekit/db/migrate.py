"""Bring a database to the newest schema with the alembic revisions inside the service's wheel.

A service has `migrations/env.py` (two lines calling `run`) and `migrations/versions/`. `upgrade` is safe to call at
every start and from several processes at once. A database that a newer release has migrated is left as it is: revisions
only add within a minor version, so that the release before can go on with it after a rollback.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, MetaData, func, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from capstan_servicekit.db.diagnosis import DatabaseUnusable, diagnose, foreign_errors
from capstan_servicekit.db.session import MIGRATING

_PAUSE_S = 1.0
Tell = Callable[[str], None]


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def revisions(package: str) -> set[str]:
    """All revisions of a package, read from the files."""
    return _revisions(package)[0]


def newest_revision(package: str) -> str:
    """The revision that no other one follows, read from the files."""
    known, followed = _revisions(package)
    heads = known - followed
    if len(heads) != 1:
        raise RuntimeError(f"{package} must have exactly one newest revision, found {sorted(heads)}")
    return heads.pop()


def _revisions(package: str) -> tuple[set[str], set[str]]:
    known, followed = set(), set()
    for file in (_folder(package) / "versions").glob("*.py"):
        source = file.read_text()
        known.update(re.findall(r'^revision(?:: str)? = "([^"]+)"', source, re.MULTILINE))
        followed.update(re.findall(r'^down_revision(?:: [^=]+)? = "([^"]+)"', source, re.MULTILINE))
    return known, followed


def upgrade(url: str, package: str, *, patience_s: float = 0, tell: Tell = _to_stderr) -> None:
    """Upgrade the database at `url` to the newest revision of `package` (say `capstan_registry.migrations`).

    Waits up to `patience_s` for a database that is not there yet. DatabaseUnusable says what is wrong.
    """
    target = make_url(url)
    until, told = time.monotonic() + patience_s, ""
    while True:
        try:
            _upgrade(target, package, tell)
        except foreign_errors(target) as error:
            if (diagnosis := diagnose(error, target)) is None:
                raise
            if not diagnosis.passing or time.monotonic() >= until:
                raise DatabaseUnusable(diagnosis.sentence) from error
            if diagnosis.sentence != told:
                tell(f"waiting: {diagnosis.sentence}")
                told = diagnosis.sentence
            time.sleep(_PAUSE_S)
        else:
            return


def _upgrade(target: URL, package: str, tell: Tell) -> None:
    newest, current = newest_revision(package), _current(target)
    if current == newest:
        return
    if current is not None and current not in revisions(package):
        tell(f"the database is at revision {current} of a newer release (the newest here is {newest}): left as it is")
        return
    # alembic costs 0.2 s and 10 MB, and is needed once in a database's life
    command = importlib.import_module("alembic.command")
    config = importlib.import_module("alembic.config").Config()
    config.set_main_option("script_location", str(_folder(package)))
    config.attributes["url"] = target
    with _one_at_a_time(target):
        command.upgrade(config, "head")


@contextmanager
def _one_at_a_time(target: URL) -> Iterator[None]:
    """SQLite: a lock file beside the database. PostgreSQL has a lock of its own, taken in `run`."""
    if target.get_backend_name() != "sqlite" or not target.database:
        yield
        return
    file = Path(target.database)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.migrating").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(metadata: MetaData) -> None:
    """The body of a service's `env.py`: run the revisions on the URL that `upgrade` was given."""
    context = importlib.import_module("alembic.context")
    url: URL = context.config.attributes["url"]

    def migrate(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Replicas start together: the second one waits here, and finds the work done.
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()

    async def connect() -> None:
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(migrate)
        finally:
            await engine.dispose()

    asyncio.run(connect())


def _folder(package: str) -> Path:
    module = importlib.import_module(package)
    return Path(next(iter(module.__path__)))


def _current(url: URL) -> str | None:
    """The revision that the database is at; None before the first."""
    if url.get_backend_name() != "sqlite":
        return asyncio.run(_current_on_server(url))
    if not url.database or not Path(url.database).exists():
        return None
    connection = sqlite3.connect(url.database)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return None if row is None else str(row[0])


async def _current_on_server(url: URL) -> str | None:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
                return None
            found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            return None if found is None else str(found)
    finally:
        await engine.dispose()
