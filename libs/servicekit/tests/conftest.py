"""What several files of the chassis' tests start from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from capstan_servicekit.db.session import Database
from capstan_servicekit.db.tables import KitBase


@pytest.fixture
async def kit_database(tmp_path: Path) -> AsyncIterator[Database]:
    """An SQLite database with the tables of the chassis, and nothing in them."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'kit.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(KitBase.metadata.create_all)
    yield database
    await database.close()
