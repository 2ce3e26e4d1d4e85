"""A person goes back to a former champion: one call, no gates, a ledger row of its own kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capstan_contracts.events import GatesDecided, VersionPromoted
from capstan_contracts.ids import uuid7
from capstan_registry.actions.append_to_ledger import AppendToLedger
from capstan_registry.actions.crown_champion import CrownChampion
from capstan_registry.actions.project_alias import QueueProjection
from capstan_registry.domain.ledger import APPROVED
from capstan_registry.tables import VersionRow
from capstan_servicekit.clock import Clock, ManualClock
from capstan_testkit.harness import Harness

BASE = "/v1/projects/default"
MODEL = f"{BASE}/models/delay"
WHY = {"reason": "answers 500 for every JFK flight"}


async def crowned(h: Harness, version: int, clock: Clock | None = None) -> None:
    """A version that has become champion, with what its promotion writes."""
    kit = h.kit
    ledger, crown = AppendToLedger(clock or kit.clock), CrownChampion(kit.outbox, QueueProjection(kit.work))
    async with kit.database.write() as session:
        row = VersionRow(
            project="default", model="delay", version=version, package=f"{version:064x}", run=uuid7(), holdout=None,
            training_set=None, dataset="flights", dataset_version="cd" * 32, metrics={}, created_at=kit.clock.now(),
        )  # fmt: skip
        session.add(row)
        await session.flush()
        previous = version - 1 or None
        entry = await ledger(session, row, APPROVED, by="ada", previous=previous, figures=[])
        await crown(session, row, entry)


@pytest.fixture
async def champions(h: Harness) -> AsyncIterator[Harness]:
    """Versions 1, 2 and 3 were promoted in this order; version 3 is champion."""
    for version in (1, 2, 3):
        await crowned(h, version)
    yield h


async def champion(h: Harness, **at: str) -> Any:
    return (await h.viewer.get(f"{MODEL}/champion", params=at)).json()


@pytest.mark.both_databases
async def test_one_call_goes_back_to_the_champion_before_and_the_ledger_says_who_and_why(champions: Harness) -> None:
    h = champions
    before = await champion(h)
    done = await asyncio.wait_for(h.operator.post(f"{MODEL}/rollback", json=WHY), timeout=10)
    assert done.status_code == 200
    made = done.json()
    assert (made["from_version"], made["to_version"], made["by"]) == (3, 2, "test-operator")
    assert (await champion(h))["version"] == 2
    entry = (await h.viewer.get(f"{BASE}/ledger")).json()["items"][0]
    assert (entry["sequence"], entry["decision"], entry["version"], entry["previous_version"]) == (
        4,
        "rolled-back",
        2,
        3,
    )
    (figure,) = entry["gates"]
    assert figure["figures"] == {"by": "test-operator", **WHY}
    assert figure["sentence"] == f"'test-operator' went back from version 3 to version 2: {WHY['reason']}"
    assert (await h.viewer.get(f"{BASE}/ledger/verify")).json()["intact"]
    _, told = (await h.relayed(VersionPromoted))[-1]
    assert (told.from_version, told.to_version, told.package, told.ledger_sequence) == (3, 2, f"{2:064x}", 4)
    assert await h.relayed(GatesDecided) == []
    assert (await champion(h, at=before["since"]))["version"] == 3  # what was true then stays true


async def test_a_version_that_somebody_went_back_from_is_gone_back_to_only_by_its_name(champions: Harness) -> None:
    h = champions

    async def back(**version: int) -> Any:
        return (await h.operator.post(f"{MODEL}/rollback", json=WHY | version)).json()

    assert [(await back())["to_version"] for _ in range(2)] == [2, 1]
    refused = await back()
    assert refused["status"] == 409 and "which one is wanted has to be said" in refused["detail"]
    assert "Name one of 2, 3" in refused["hint"]
    assert (await back(version=3))["to_version"] == 3
    assert (await h.viewer.get(f"{BASE}/ledger/verify")).json()["intact"]


async def test_the_alias_follows_a_rollback(champions: Harness, catalogue: Any) -> None:
    await champions.operator.post(f"{MODEL}/rollback", json=WHY)

    async def shown() -> bool:
        return bool(catalogue.aliases == {("delay", "champion"): 2})

    await champions.until(shown)


async def test_the_same_key_goes_back_once(champions: Harness) -> None:
    once = {"idempotency-key": "once"}
    first = (await champions.operator.post(f"{MODEL}/rollback", json=WHY, headers=once)).json()
    assert (await champions.operator.post(f"{MODEL}/rollback", json=WHY, headers=once)).json() == first
    assert len((await champions.viewer.get(f"{BASE}/ledger")).json()["items"]) == 4


async def test_two_people_who_react_to_the_same_incident_go_back_once(champions: Harness) -> None:
    h, seen = champions, WHY | {"from_version": 3}
    first, second = [await h.operator.post(f"{MODEL}/rollback", json=seen) for _ in range(2)]
    assert (first.status_code, first.json()["to_version"]) == (200, 2)
    assert second.status_code == 409
    assert second.json()["detail"] == "Version 3 of 'delay' is not the champion any more, version 2 is"
    assert (await champion(h))["version"] == 2
    assert (await h.operator.post(f"{MODEL}/rollback", json=WHY | {"from_version": 0})).status_code == 422


async def test_what_is_no_rollback_is_refused_with_the_right_call(champions: Harness) -> None:
    h = champions
    assert (await h.viewer.post(f"{MODEL}/rollback", json=WHY)).status_code == 403
    service = await h.service.post(f"{MODEL}/rollback", json=WHY)
    assert service.status_code == 403 and "a person's decision" in service.json()["detail"]
    same = await h.operator.post(f"{MODEL}/rollback", json=WHY | {"version": 3})
    assert same.status_code == 409 and "the champion already" in same.json()["detail"]
    never = await h.operator.post(f"{MODEL}/rollback", json=WHY | {"version": 7})
    assert never.status_code == 409 and "was never champion; former champions: 2, 1" in never.json()["detail"]
    assert "capstan models promote delay 7" in never.json()["hint"]
    assert (await h.operator.post(f"{BASE}/models/other/rollback", json=WHY)).status_code == 404
    for bad in ({}, {"reason": ""}, {"reason": "x", "version": 0}, {"reason": "x", "versoin": 1}):
        assert (await h.operator.post(f"{MODEL}/rollback", json=bad)).status_code in (400, 422)
    assert len((await h.viewer.get(f"{BASE}/ledger")).json()["items"]) == 3


async def test_the_first_champion_has_nothing_to_go_back_to(h: Harness) -> None:
    await crowned(h, 1)
    refused = await h.operator.post(f"{MODEL}/rollback", json=WHY)
    assert (
        refused.status_code == 409 and "No version of 'delay' was champion before version 1" in refused.json()["detail"]
    )


@pytest.mark.both_databases
async def test_who_was_champion_follows_the_ledger_when_the_clock_was_set_back(h: Harness) -> None:
    """Version 2 is promoted at 04:00 of a clock that is ahead; it is set back, and version 3 follows at 03:30."""
    night = datetime(2026, 3, 1, tzinfo=UTC)
    for version, hour in ((1, 3.0), (2, 4.0), (3, 3.5), (4, 5.0)):
        await crowned(h, version, ManualClock(night + timedelta(hours=hour)))
    found = {}
    for hour in (3.0, 3.25, 3.5, 3.75, 4.0, 4.5, 5.0, 6.0):
        then = await champion(h, at=(night + timedelta(hours=hour)).isoformat())
        found[hour] = (then["version"], then["since"][11:16], then["until"] and then["until"][11:16])
    third = (3, "03:30", "05:00")
    assert found == {
        3.0: (1, "03:00", "03:30"), 3.25: (1, "03:00", "03:30"), 3.5: third, 3.75: third, 4.0: third, 4.5: third,
        5.0: (4, "05:00", None), 6.0: (4, "05:00", None),
    }  # fmt: skip
