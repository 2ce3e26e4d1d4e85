"""Migrations and models describe the same tables."""

from __future__ import annotations

from pathlib import Path

from capstan_registry.settings import Settings
from capstan_registry.tables import Base
from capstan_testkit.schema import assert_migrations_match


def test_migrations_match_the_models(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)
