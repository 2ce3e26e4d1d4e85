"""`capstan models promote | approve | reject | promotions | champion`: what they print and how they exit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from capstan_client.cli import output
from capstan_client.cli.models import app
from capstan_contracts.events import GateFigure
from capstan_contracts.rest.registry import Champion, Promotion
from capstan_contracts.work import Progress, State

ID = "01890000-0000-7000-8000-000000000000"
AT = datetime(2013, 7, 1, tzinfo=UTC)
UNLOOKED = "The loop says `quality: none`: no gate looked at how good version 2 is."


class Registry:
    """A registry with one promotion that waits for a person."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, bool, str]] = []

    async def promote(self, model: str, version: int) -> Promotion:
        return self._promotion()

    async def promotion(self, promotion: str) -> Promotion:
        return self._promotion()

    async def promotions(self, model: str | None) -> list[Promotion]:
        return [self._promotion()]

    async def answer(self, promotion: str, *, approve: bool, reason: str) -> Promotion:
        self.answers.append((promotion, approve, reason))
        return self._promotion()

    async def champion(self, model: str, at: datetime | None) -> Champion:
        figure = {"gate": "quality: none", "kind": "quality", "sentence": UNLOOKED}
        return Champion(model=model, version=2, package="ab" * 32, since=AT, ledger_sequence=2, gates=[figure])

    def _promotion(self) -> Promotion:
        approved = self.answers[-1][1] if self.answers else None
        gate = GateFigure(gate="approval by a person", passed=approved, not_judged="waits", sentence="Nobody has yet.")
        return Promotion(
            state=State.WAITING if approved is None else State.SUCCEEDED, progress=Progress(message=gate.sentence),
            id=ID, model="delay", version=2, requested_by="ada", approved=approved, gates=[gate], created_at=AT,
        )  # fmt: skip


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()

    @asynccontextmanager
    async def connect(**_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(registry=made)

    monkeypatch.setattr(output, "Capstan", SimpleNamespace(connect=connect))
    return made


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    return done.exit_code, " ".join(done.output.split())


def test_a_promotion_that_waits_says_for_whom_and_is_no_failure(registry: Registry) -> None:
    code, said = call("promote", "delay", "2")
    assert code == 0
    assert "delay 2: waiting" in said
    assert f"Promotion {ID} waits: Nobody has yet." in said
    code, said = call("promotions")
    assert code == 0 and "waiting" in said and "Nobody" in said


def test_approve_and_reject_need_a_reason_and_send_it(registry: Registry) -> None:
    assert call("approve", ID)[0] == 2 and registry.answers == []
    code, said = call("approve", ID, "--reason", "looked at it")
    assert (code, registry.answers) == (0, [(ID, True, "looked at it")])
    assert "delay 2: approved" in said
    code, said = call("reject", ID, "--reason", "too late")
    assert (code, registry.answers[1:]) == (2, [(ID, False, "too late")])
    assert "delay 2: refused" in said


def test_a_champion_that_nobody_looked_at_says_so(registry: Registry) -> None:
    code, said = call("champion", "delay")
    assert code == 0 and UNLOOKED in said
