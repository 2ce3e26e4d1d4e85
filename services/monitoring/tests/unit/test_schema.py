"""Migrations and models describe the same tables."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from capstan_monitoring.settings import Settings
from capstan_monitoring.tables import Base
from capstan_testkit.schema import assert_migrations_match, upgraded_row


def test_the_revisions_make_what_the_models_say(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)


def test_an_alarm_of_the_release_before_is_ended_by_any_quiet_window(tmp_path: Path, database_url: str) -> None:
    row = {"project": "p", "loop": "l", "generation": 1, "part": {}, "ledger": 1, "alarm": True, "statements": 0}
    found = upgraded_row(Settings, tmp_path, database_url, since="0003", table="monitors", row=row)
    assert found["alarm"] in (True, 1) and found["alarm_columns"] in ([], "[]")


def test_a_prediction_of_the_release_before_keeps_its_number(tmp_path: Path, database_url: str) -> None:
    row = {
        "project": "p", "prediction_id": "one", "loop": "l", "version": 3, "join_key": None, "prediction": 0.25,
        "window_start": datetime(2026, 1, 1, tzinfo=UTC), "label": 1.0, "state": "there",
    }  # fmt: skip
    found = upgraded_row(Settings, tmp_path, database_url, since="0001", table="scored", row=row)
    assert (found["prediction"], found["outputs"], found["label"], found["version"]) == (0.25, None, 1.0, 3)
