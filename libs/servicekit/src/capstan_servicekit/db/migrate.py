"""Bring a database to the newest schema with the alembic revisions inside the service's wheel.

A service has `migrations/env.py` (two lines calling `run`) and `migrations/versions/`. `upgrade` is safe to call at
every start: when the revision is already the newest it costs one small query and alembic is not even imported.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, MetaData, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from capstan_servicekit.db.session import MIGRATING


def newest_revision(package: str) -> str:
    """The revision that no other one follows, read from the files."""
    revisions, followed = set(), set()
    for file in (_folder(package) / "versions").glob("*.py"):
        text = file.read_text()
        revisions.update(re.findall(r'^revision(?:: str)? = "([^"]+)"', text, re.MULTILINE))
        followed.update(re.findall(r'^down_revision(?:: [^=]+)? = "([^"]+)"', text, re.MULTILINE))
    heads = revisions - followed
    if len(heads) != 1:
        raise RuntimeError(f"{package} must have exactly one newest revision, found {sorted(heads)}")
    return str(heads.pop())


def upgrade(url: str, package: str) -> None:
    """Upgrade the database at `url` to the newest revision of `package` (say `capstan_registry.migrations`)."""
    target = make_url(url)
    if _is_current(target, newest_revision(package)):
        return
    # alembic costs 0.2 s and 10 MB, and is needed once in a database's life
    command = importlib.import_module("alembic.command")
    config = importlib.import_module("alembic.config").Config()
    if target.get_backend_name() == "sqlite" and target.database:
        Path(target.database).parent.mkdir(parents=True, exist_ok=True)
    config.set_main_option("script_location", str(_folder(package)))
    config.attributes["url"] = target
    command.upgrade(config, "head")


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


def _is_current(url: URL, newest: str) -> bool:
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).exists():
        return False
    connection = sqlite3.connect(url.database)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return row is not None and row[0] == newest
