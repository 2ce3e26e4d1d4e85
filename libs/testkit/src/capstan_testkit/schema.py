"""Migrations and models must describe the same tables."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.orm import DeclarativeBase

from capstan_servicekit.db.migrate import upgrade
from capstan_servicekit.db.tables import KitBase
from capstan_servicekit.serve import migrations_package
from capstan_servicekit.settings import ServiceSettings


def assert_migrations_match(settings_type: type[ServiceSettings], base: type[DeclarativeBase], folder: Path) -> None:
    """Upgrade an empty SQLite database by the revisions and compare it with the models."""
    database = folder / "schema.db"
    upgrade(f"sqlite+aiosqlite:///{database}", migrations_package(settings_type.SERVICE))
    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, [KitBase.metadata, base.metadata])  # type: ignore[arg-type]
    engine.dispose()
    assert differences == [], f"models and migrations differ: {differences}"
