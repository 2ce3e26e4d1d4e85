"""Migrations and models describe the same tables."""

from __future__ import annotations

from pathlib import Path

from capstan_monitoring.settings import Settings
from capstan_monitoring.tables import Base
from capstan_testkit.schema import assert_migrations_match


def test_the_revisions_make_what_the_models_say(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)
