"""Promotions that wait for a person, and loops that say that nobody looks at quality."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import GatesDecided, RunFinished, VersionPromoted, VersionRegistered
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.work import State
from capstan_testkit.harness import Harness

BASE = "/v1/projects/default"
MODEL = f"{BASE}/models/flight-delay"
WITH_APPROVAL = [{"metric": "auc", "min": 0.65}, {"kind": "approval"}]


@pytest.fixture
def finish(h: Harness, tmp_path: Path, make_package: Any, make_holdout: Any) -> Callable[..., Any]:
    """`await finish(promote=...)`: a run that trained a package ends."""

    async def finished(*, promote: bool) -> None:
        run = uuid7()
        package = await h.kit.objects.put_file("default", make_package(tmp_path / run))
        holdout = await h.kit.objects.put_file("default", make_holdout(tmp_path / f"{run}.parquet"))
        event = RunFinished(
            run=run, loop="flight-delay", state=State.SUCCEEDED, reason="manual", dataset="flights",
            dataset_version="cd" * 32, code="ab" * 32, package=package, holdout=holdout, promote=promote,
        )  # fmt: skip
        await h.publish(event, subject=Urn("default", "run", run))

        async def registered() -> bool:
            return bool(h.published(VersionRegistered))

        await h.until(registered)

    return finished


async def waiting(h: Harness) -> dict[str, Any]:
    """A promotion that the operator asked for, once it waits."""
    asked = (await h.operator.post(f"{MODEL}/versions/1/promotions")).json()

    async def waits() -> Any:
        found = (await h.viewer.get(f"{BASE}/promotions/{asked['id']}")).json()
        return found if found["state"] == "waiting" else None

    found: dict[str, Any] = await h.until(waits, timeout=40)
    return found


async def decided(h: Harness) -> GatesDecided:
    async def one() -> bool:
        return bool(h.published(GatesDecided))

    await h.until(one, timeout=40)
    ((_, event),) = await h.relayed(GatesDecided)
    return event


@pytest.mark.both_databases
async def test_another_person_approves(h: Harness, finish: Callable[..., Any], loop_body: Callable[..., Any]) -> None:
    assert (await h.admin.put(f"{BASE}/loops/flight-delay", json=loop_body(gates=WITH_APPROVAL))).status_code == 200
    await finish(promote=False)
    found = await waiting(h)
    assert found["approved"] is None and found["ledger_sequence"] is None
    assert found["progress"]["message"].startswith("No person other than 'test-operator' has approved yet")
    assert [gate["passed"] for gate in found["gates"]] == [True, None]
    listed = (await h.viewer.get(f"{BASE}/promotions", params={"model": "flight-delay"})).json()["items"]
    assert listed == [found]
    assert (await h.viewer.get(f"{BASE}/promotions", params={"model": "other"})).json()["items"] == []
    path, yes = f"{BASE}/promotions/{found['id']}/approval", {"approve": True, "reason": "looked at the slices"}
    own = await h.operator.put(path, json=yes)
    assert own.status_code == 403
    assert own.json()["detail"] == (
        "'test-operator' asked for this promotion, and another person has to approve or reject it"
    )
    service = await h.service.put(path, json=yes)
    assert service.status_code == 403
    assert service.json()["detail"] == (
        "'test-service' is of kind service, and a promotion is approved or rejected by a person"
    )
    assert (await h.viewer.put(path, json=yes)).status_code == 403
    assert (await h.admin.put(path, json=yes | {"reason": ""})).status_code == 422
    assert (await h.admin.put(f"{BASE}/promotions/{uuid7()}/approval", json=yes)).status_code == 404
    assert (await h.viewer.get(f"{MODEL}/champion")).status_code == 404

    assert (await h.admin.put(path, json=yes)).status_code == 200
    event = await decided(h)
    assert event.approved
    assert event.gates[1].sentence == "'test-admin' approved it, asked for by 'test-operator': looked at the slices"
    assert (await h.viewer.get(f"{MODEL}/champion")).json()["version"] == 1
    (entry,) = (await h.viewer.get(f"{BASE}/ledger")).json()["items"]
    assert entry["gates"][1]["figures"]["by"] == "test-admin"
    after = (await h.viewer.get(f"{BASE}/promotions/{found['id']}")).json()
    assert (after["state"], after["approved"], after["approval"]["by"]) == ("succeeded", True, "test-admin")
    assert (await h.admin.put(path, json=yes)).status_code == 200  # the same again changes nothing
    late = await h.admin.put(path, json={"approve": False, "reason": "no"})
    assert late.status_code == 409 and "was approved by 'test-admin'" in late.json()["detail"]
    assert len(await h.relayed(VersionPromoted)) == 1


async def test_a_rejection_refuses_and_its_reason_is_in_the_ledger(
    h: Harness, finish: Callable[..., Any], loop_body: Callable[..., Any]
) -> None:
    await h.admin.put(f"{BASE}/loops/flight-delay", json=loop_body(gates=WITH_APPROVAL))
    await finish(promote=False)
    found = await waiting(h)
    path = f"{BASE}/promotions/{found['id']}/approval"
    assert (await h.admin.put(path, json={"approve": False, "reason": "not before the holidays"})).status_code == 200
    assert not (await decided(h)).approved
    (entry,) = (await h.viewer.get(f"{BASE}/ledger")).json()["items"]
    assert (entry["decision"], entry["gates"][1]["figures"]["reason"]) == ("refused", "not before the holidays")
    assert (await h.viewer.get(f"{MODEL}/champion")).status_code == 404


async def test_nobody_is_asked_about_a_candidate_that_another_gate_refuses(
    h: Harness, finish: Callable[..., Any], loop_body: Callable[..., Any]
) -> None:
    gates = [{"metric": "auc", "min": 0.999}, {"kind": "approval"}]
    await h.admin.put(f"{BASE}/loops/flight-delay", json=loop_body(gates=gates))
    await finish(promote=True)
    event = await decided(h)
    assert not event.approved
    assert [gate.passed for gate in event.gates] == [False, None]
    promotions = (await h.viewer.get(f"{BASE}/ledger")).json()["items"]
    assert [entry["decision"] for entry in promotions] == ["refused"]


async def test_a_promotion_that_waits_for_nobody_takes_no_answer(
    h: Harness, finish: Callable[..., Any], loop_body: Callable[..., Any]
) -> None:
    await h.admin.put(f"{BASE}/loops/flight-delay", json=loop_body(gates=[{"metric": "auc", "min": 0.65}]))
    await finish(promote=False)
    asked = (await h.operator.post(f"{MODEL}/versions/1/promotions")).json()
    await decided(h)
    answer = await h.admin.put(f"{BASE}/promotions/{asked['id']}/approval", json={"approve": True, "reason": "why not"})
    assert answer.status_code == 409 and "is decided already" in answer.json()["detail"]


async def test_a_loop_without_a_gate_of_quality_is_refused_unless_it_says_so(
    h: Harness, finish: Callable[..., Any], loop_body: Callable[..., Any]
) -> None:
    path, native = f"{BASE}/loops/flight-delay", [{"format": "native"}]
    refused = await h.admin.put(path, json=loop_body(gates=native))
    assert refused.status_code == 422
    ((error),) = refused.json()["errors"]
    assert error["place"] == "body.loop.spec.gates"
    assert error["rule"].startswith("no gate looks at quality, so any candidate would become champion")
    both = await h.admin.put(path, json=loop_body(quality="none"))
    assert [one["place"] for one in both.json()["errors"]] == ["body.loop.spec.quality"]

    said = await h.admin.put(path, json=loop_body(gates=native, quality="none"))
    assert said.status_code == 200
    own = next(part for part in said.json()["parts"] if part["service"] == "registry")
    assert "nobody looks at quality (`quality: none`)" in own["changes"]
    await finish(promote=True)
    event = await decided(h)
    assert event.approved
    sentence = "The loop says `quality: none`: no gate looked at how good version 1 is."
    assert event.gates[-1].sentence == sentence
    (entry,) = (await h.viewer.get(f"{BASE}/ledger")).json()["items"]
    assert entry["gates"][-1]["sentence"] == sentence
    assert (await h.viewer.get(f"{MODEL}/champion")).json()["gates"][-1]["kind"] == "quality"
