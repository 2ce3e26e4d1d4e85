"""Migrations and models must describe the same tables."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
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
            found = await connection.run_sync(compare)
        await engine.dispose()
        return found

    found = asyncio.run(differences())
    assert found == [], f"models and migrations differ: {found}"
