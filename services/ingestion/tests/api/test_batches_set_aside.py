"""Batches that are quarantined or fail: what they leave as it was, and what takes their place."""

from __future__ import annotations

from typing import Any

import pytest

from capstan_contracts.events import BatchQuarantined
from capstan_testkit.harness import Harness

BASE = "/v1/projects/default"
CSV = {"content-type": "text/csv"}


@pytest.mark.both_databases
async def test_a_quarantined_batch_changes_no_version(h: Harness, trips: Any) -> None:
    bad = await trips.send("bad\n1")
    assert bad["state"] == "quarantined" and bad["verdict"]["checks"][0]["failing_rows"] == 1
    assert await trips.versions() == []
    rows = (await h.viewer.get(f"{BASE}/batches/{bad['id'][:12]}/failing-rows")).json()
    assert rows == {"batch": bad["id"], "total": 1, "rows": [{"_row": 0, "_checks": ["rows"]}]}

    async def told() -> list[Any]:
        return h.published(BatchQuarantined)

    ((envelope, event),) = await h.until(told)
    assert event.failed == ["rows"] and envelope.subject == f"capstan:default:batch/{bad['id']}"
    assert (await trips.post("bad\n1"))["status"] == 200
    good = await trips.send("1\n2", replaces=bad["id"])
    assert good["state"] == "committed"
    assert (await h.viewer.get(f"{BASE}/batches/{bad['id']}")).json()["state"] == "replaced"
    replay = await h.operator.post(f"{BASE}/batches/{bad['id']}/replay")
    assert replay.status_code == 409


async def test_only_a_batch_that_was_set_aside_is_replaced(h: Harness, trips: Any) -> None:
    good, bad = await trips.send("1"), await trips.send("bad")
    up = f"{BASE}/datasets/trips/batches?partition=a&replaces="
    refused = await h.operator.post(up + good["id"], content=b"2", headers=CSV)
    assert refused.status_code == 409 and "without `replaces`" in refused.json()["hint"]
    itself = await h.operator.post(up + bad["id"], content=b"bad", headers=CSV)
    assert itself.status_code == 409 and "replay" in itself.json()["hint"]


async def test_what_cannot_be_checked_has_failed_with_a_problem_until_it_is_replayed(
    h: Harness, trips: Any, checker: Any
) -> None:
    checker.refuse = True
    failed = await trips.send("1")
    assert failed["state"] == "failed" and failed["problem"]["detail"] == "too much memory"
    checker.refuse = False
    assert (await h.operator.post(f"{BASE}/batches/{failed['id']}/replay")).status_code == 202
    again = await trips.ended(failed["id"])
    assert again["state"] == "committed" and again["problem"] is None
