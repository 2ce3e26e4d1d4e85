"""Migrations and models must describe the same tables."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase

from capstan_servicekit.db.migrate import upgrade
from capstan_servicekit.db.tables import KitBase
from capstan_servicekit.http.serve import migrations_package
from capstan_servicekit.settings import ServiceSettings


def assert_migrations_match(
    settings_type: type[ServiceSettings], base: type[DeclarativeBase], folder: Path, url: str = ""
) -> None:
    """Upgrade an empty database (`url`, else SQLite in `folder`) by the revisions and compare it with the models."""
    url = url or f"sqlite+aiosqlite:///{folder / 'schema.db'}"
    upgrade(url, migrations_package(settings_type.SERVICE))

    def compare(connection: sa.Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, [KitBase.metadata, base.metadata])  # type: ignore[arg-type]

    async def differences() -> Any:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            diff = await connection.run_sync(compare)
        await engine.dispose()
        return diff

    changes = asyncio.run(differences())
    assert changes == [], f"models and migrations differ: {changes}"


def upgraded_row(
    settings_type: type[ServiceSettings], folder: Path, url: str, *, since: str, table: str, row: Mapping[str, object]
) -> dict[str, Any]:
    """What an upgrade to the newest revision makes of `row`, which `table` was given at the revision `since`.

    The database is `url`, else SQLite in `folder`; both times the columns are those that the database itself declares.
    """
    url = url or f"sqlite+aiosqlite:///{folder / 'earlier.db'}"
    package = migrations_package(settings_type.SERVICE)
    config = Config()
    config.set_main_option("script_location", str(Path(*importlib.import_module(package).__path__)))
    config.attributes["url"] = make_url(url)
    command.upgrade(config, since)
    asyncio.run(_in_table(url, table, lambda target: target.insert().values(dict(row))))
    upgrade(url, package)
    (upgraded,) = asyncio.run(_in_table(url, table, sa.Table.select))
    return upgraded


async def _in_table(url: str, name: str, make: Callable[[sa.Table], sa.Executable]) -> list[dict[str, Any]]:
    """Rows that a statement on the table gives; none for one that gives none."""

    def execute(connection: sa.Connection) -> list[dict[str, Any]]:
        done = connection.execute(make(sa.Table(name, sa.MetaData(), autoload_with=connection)))
        return [dict(row) for row in done.mappings()] if done.returns_rows else []

    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(execute)
    finally:
        await engine.dispose()
