"""Migrations and models describe the same tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capstan_contracts.kinds.gates import ChampionGate
from capstan_contracts.loop import ResolvedLoop
from capstan_registry.settings import Settings
from capstan_registry.tables import Base
from capstan_testkit.schema import assert_migrations_match, upgraded_row


def test_migrations_match_the_models(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)


def test_a_loop_of_the_release_before_keeps_its_count(tmp_path: Path, database_url: str) -> None:
    row = {
        "project": "p", "name": "l", "generation": 2, "resolved": {}, "taken": {}, "applied": True, "hand_outs": 7,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    found = upgraded_row(Settings, tmp_path, database_url, since="0001", table="loops", row=row)
    assert (found["distributions"], found["generation"]) == (7, 2) and "hand_outs" not in found


def test_a_champion_gate_with_the_margin_of_old_has_its_metrics_own(
    tmp_path: Path, database_url: str, loop_body: Callable[..., Any]
) -> None:
    """0 was a default that every stored loop had; one that somebody has chosen stays."""
    stored = ResolvedLoop.model_validate(loop_body()).model_dump(mode="json", by_alias=True)
    gate = stored["loop"]["spec"]["gates"][1]
    for field in ("tieBreak", "lookBack"):
        del gate[field]
    gate["margin"] = 0.0
    stored["loop"]["spec"]["gates"].append(gate | {"metric": "brier", "margin": 0.004})
    row = {
        "project": "p", "name": "l", "generation": 2, "resolved": stored, "taken": {}, "applied": True, "hand_outs": 7,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    found = upgraded_row(Settings, tmp_path, database_url, since="0001", table="loops", row=row)
    gates = ResolvedLoop.model_validate(found["resolved"]).loop.spec.gates
    assert [gate.margin for gate in gates if isinstance(gate, ChampionGate)] == [None, 0.004]


def test_a_loop_of_the_release_before_can_be_read(
    tmp_path: Path, database_url: str, loop_body: Callable[..., Any]
) -> None:
    """Its uploads had an address that was never set."""
    stored = loop_body()
    expected = ResolvedLoop.model_validate(stored)
    spec = stored["loop"]["spec"]
    spec["sources"] = spec.get("sources", [])
    for dataset in (spec["dataset"], *spec["sources"]):
        dataset["source"] = {"kind": "upload", "url": None}
    row = {
        "project": "p", "name": "l", "generation": 2, "resolved": stored, "taken": {}, "applied": True, "hand_outs": 7,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    found = upgraded_row(Settings, tmp_path, database_url, since="0001", table="loops", row=row)
    assert ResolvedLoop.model_validate(found["resolved"]) == expected
