"""From a finished run to a champion: versions, gates, ledger, events, alias."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from capstan_contracts.events import GatesDecided, RunFinished, RunStarted, VersionPromoted, VersionRegistered
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.work import State
from capstan_servicekit.errors import InvalidData
from capstan_testkit.harness import Harness
from capstan_testkit.routes import assert_every_route_is_guarded

BASE = "/v1/projects/default"
MODEL = f"{BASE}/models/flight-delay"


class Runs:
    """Trains packages into the object store and says that runs finished."""

    def __init__(self, h: Harness, folder: Path, make_package: Any, make_holdout: Any) -> None:
        self._h, self._folder, self._make_package, self._make_holdout = h, folder, make_package, make_holdout

    async def finished(self, *, noise: float = 0.0, promote: bool = True, **fields: Any) -> RunFinished:
        run = uuid7()
        objects = self._h.kit.objects
        package = await objects.put_file("default", self._make_package(self._folder / run, noise=noise))
        holdout = await objects.put_file("default", self._make_holdout(self._folder / f"{run}.parquet"))
        given: dict[str, Any] = {
            "run": run,
            "loop": "flight-delay",
            "state": State.SUCCEEDED,
            "reason": "manual",
            "dataset": "flights",
            "dataset_version": "cd" * 32,
            "code": "ab" * 32,
            "package": package,
            "holdout": holdout,
            "metrics": {"auc": 0.99},
            "promote": promote,
        }
        event = RunFinished.model_validate(given | fields)
        await self._h.publish(event, subject=Urn("default", "run", run))
        return event


@pytest.fixture
async def runs(h: Harness, tmp_path: Path, make_package: Any, make_holdout: Any, loop_body: Callable[..., Any]) -> Runs:
    assert (await h.admin.put(f"{BASE}/loops/flight-delay", json=loop_body())).status_code == 200
    return Runs(h, tmp_path / "made", make_package, make_holdout)


async def decided(h: Harness, count: int) -> list[GatesDecided]:
    async def enough() -> bool:
        return len(h.published(GatesDecided)) >= count

    await h.until(enough, timeout=40)
    return [event for _, event in await h.relayed(GatesDecided)]


@pytest.mark.both_databases
async def test_a_run_becomes_champion_and_a_worse_one_does_not(h: Harness, runs: Runs, catalogue: Any) -> None:
    first = await runs.finished()
    (approved,) = await decided(h, 1)
    assert approved.approved
    assert [gate.passed for gate in approved.gates] == [True, True, None, True]  # no champion, no drop
    evaluation = approved.gates[0].figures["evaluation"]
    assert await h.kit.objects.exists("default", evaluation)
    ((_, promoted),) = await h.relayed(VersionPromoted)
    assert (promoted.from_version, promoted.to_version, promoted.ledger_sequence) == (None, 1, 1)
    assert promoted.by == f"run/{first.run}"
    ((envelope, registered),) = await h.relayed(VersionRegistered)
    assert envelope.subject == "capstan:default:model/flight-delay@1"
    assert registered.package == first.package

    await runs.finished(noise=0.95)
    refused = (await decided(h, 2))[1]
    assert not refused.approved
    assert refused.champion == 1
    assert len(await h.relayed(VersionPromoted)) == 1
    champion = (await h.viewer.get(f"{MODEL}/champion")).json()
    assert (champion["version"], champion["ledger_sequence"], champion["until"]) == (1, 1, None)

    ledger = (await h.viewer.get(f"{BASE}/ledger")).json()["items"]
    assert [(entry["sequence"], entry["decision"], entry["version"]) for entry in ledger] == [
        (2, "refused", 2),
        (1, "approved", 1),
    ]
    assert ledger[0]["previous_hash"] == ledger[1]["hash"]
    verified = (await h.viewer.get(f"{BASE}/ledger/verify")).json()
    assert (verified["intact"], verified["entries"], verified["head"]) == (True, 2, ledger[0]["hash"])

    async def shown() -> bool:
        return bool(catalogue.aliases == {("flight-delay", "champion"): 1})

    await h.until(shown)
    versions = (await h.viewer.get(f"{MODEL}/versions")).json()["items"]
    assert [(version["version"], version["aliases"]) for version in versions] == [(2, []), (1, ["champion"])]
    assert (await h.viewer.get(f"{MODEL}/versions/2")).json()["metrics"] == {"auc": 0.99}
    models = (await h.viewer.get(f"{BASE}/models")).json()["items"]
    assert models == [{"name": "flight-delay", "versions": 2, "newest": 2, "champion": 1}]


async def test_champion_at_a_time(h: Harness, runs: Runs) -> None:
    await runs.finished(noise=0.5)
    await decided(h, 1)
    await runs.finished()
    await decided(h, 2)
    first, second = [entry["at"] for entry in reversed((await h.viewer.get(f"{BASE}/ledger")).json()["items"])]
    then = (await h.viewer.get(f"{MODEL}/champion", params={"at": first})).json()
    assert (then["version"], then["since"], then["until"]) == (1, first, second)
    now = (await h.viewer.get(f"{MODEL}/champion", params={"at": second})).json()
    assert (now["version"], now["until"]) == (2, None)
    assert (await h.viewer.get(f"{MODEL}/champion", params={"at": "2000-01-01T00:00:00Z"})).status_code == 404
    for bad in ("2000-01-01T00:00:00", "yesterday", "NaN"):
        assert (await h.viewer.get(f"{MODEL}/champion", params={"at": bad})).status_code == 422


async def test_a_redelivered_or_repeated_event_makes_one_version(h: Harness, runs: Runs) -> None:
    event = await runs.finished(promote=False)
    subject = Urn("default", "run", event.run)
    envelope = await h.publish(event, subject=subject)  # another event about the same run
    await h.deliver(envelope)  # and that one again

    async def registered() -> bool:
        return len(h.published(VersionRegistered)) > 0

    await h.until(registered)
    await h.publish(event, subject=subject)
    assert len((await h.viewer.get(f"{MODEL}/versions")).json()["items"]) == 1
    assert len(await h.relayed(VersionRegistered)) == 1
    assert await h.relayed(GatesDecided) == []


async def test_failed_runs_make_no_version_and_started_runs_warm_mlflow(h: Harness, runs: Runs, server: Any) -> None:
    await runs.finished(state=State.FAILED, package=None)
    run = uuid7()
    started = RunStarted(
        run=run, loop="flight-delay", dataset="flights", dataset_version="cd" * 32, code="ab" * 32, reason="manual"
    )
    await h.publish(started, subject=Urn("default", "run", run))

    async def warmed() -> bool:
        return bool(server.warmed)

    await h.until(warmed)
    assert (await h.viewer.get(f"{MODEL}/versions")).status_code == 404


@pytest.mark.both_databases
async def test_a_person_asks_for_a_promotion(h: Harness, runs: Runs) -> None:
    await runs.finished(promote=False)

    async def registered() -> bool:
        return bool(h.published(VersionRegistered))

    await h.until(registered)
    path = f"{MODEL}/versions/1/promotions"
    assert (await h.viewer.post(path)).status_code == 403
    assert (await h.foreign.post(path)).status_code == 403
    asked = await h.operator.post(path, headers={"idempotency-key": "once"})
    assert asked.status_code == 202
    assert (await h.operator.post(path, headers={"idempotency-key": "once"})).json() == asked.json()
    other = f"{MODEL}/versions/2/promotions"
    assert (await h.operator.post(other, headers={"idempotency-key": "once"})).json()["code"] == "idempotency-mismatch"
    assert (await h.operator.post(other)).status_code == 404
    await decided(h, 1)
    promotion = (await h.viewer.get(f"{BASE}/promotions/{asked.json()['id']}")).json()
    assert (promotion["state"], promotion["approved"], promotion["ledger_sequence"]) == ("succeeded", True, 1)
    assert promotion["requested_by"] == "test-operator"
    assert len(promotion["gates"]) == 4
    again = await h.operator.post(path)
    assert again.status_code == 409
    assert (await h.foreign.get(f"/v1/projects/elsewhere/promotions/{asked.json()['id']}")).status_code == 404
    for bad in ("0", "-1", "1.5", "x", "99999999999999"):
        assert (await h.operator.post(f"{MODEL}/versions/{bad}/promotions")).status_code == 422
    assert (await h.viewer.get(f"{BASE}/promotions/../x")).status_code in (404, 422)


async def test_a_package_that_is_no_package_is_refused_by_every_gate(h: Harness, runs: Runs) -> None:
    package = await h.kit.objects.put_bytes("default", b"\x80\x04\x95 a pickle")
    await runs.finished(package=package)
    (refused,) = await decided(h, 1)
    assert [gate.passed for gate in refused.gates] == [False] * 4
    assert (await h.viewer.get(f"{BASE}/ledger/verify")).json()["entries"] == 1
    assert (await h.viewer.get(f"{MODEL}/champion")).status_code == 404


async def test_without_a_loop_a_promotion_fails_and_says_why(
    h: Harness, tmp_path: Path, make_package: Any, make_holdout: Any
) -> None:
    await Runs(h, tmp_path / "made", make_package, make_holdout).finished(promote=False)

    async def registered() -> bool:
        return bool(h.published(VersionRegistered))

    await h.until(registered)
    asked = (await h.operator.post(f"{MODEL}/versions/1/promotions")).json()

    async def failed() -> Any:
        status = (await h.viewer.get(f"{BASE}/promotions/{asked['id']}")).json()
        return status if status["state"] == "failed" else None

    status = await h.until(failed)
    assert "no gates to decide by" in status["problem"]["detail"]
    assert (await h.viewer.get(f"{BASE}/ledger")).json()["items"] == []


async def test_gates_that_cannot_be_computed_refuse_and_say_why(
    h: Harness, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> dict[str, Any]:
        raise InvalidData("the holdout cannot be read")

    monkeypatch.setattr(h.kit.jobs, "run", broken)
    await runs.finished()
    (refused,) = await decided(h, 1)
    assert not refused.approved
    assert [gate.sentence for gate in refused.gates] == ["the gates could not be computed: the holdout cannot be read"]
    assert (await h.viewer.get(f"{MODEL}/champion")).status_code == 404
    entries = (await h.viewer.get(f"{BASE}/ledger")).json()["items"]
    assert [entry["decision"] for entry in entries] == ["refused"]
    assert (await h.viewer.get(f"{BASE}/ledger/verify")).json()["intact"]


async def test_the_alias_follows_once_mlflow_is_back(h: Harness, runs: Runs, catalogue: Any) -> None:
    await runs.finished(promote=False)

    async def registered() -> bool:
        return bool(h.published(VersionRegistered))

    await h.until(registered)
    catalogue.away = True
    await h.operator.post(f"{MODEL}/versions/1/promotions")
    await decided(h, 1)
    assert (await h.viewer.get(f"{MODEL}/champion")).json()["version"] == 1
    assert catalogue.aliases == {}
    catalogue.away = False

    async def shown() -> bool:
        return bool(catalogue.aliases)

    await h.until(shown)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE ledger SET by = 'eve' WHERE sequence = 1",
        "UPDATE ledger SET decision = 'refused' WHERE sequence = 1",
        "UPDATE ledger SET gates = '[]' WHERE sequence = 1",
        "UPDATE ledger SET gates = gates || ' ' WHERE sequence = 1",
        "UPDATE ledger SET at = '2020-01-01 00:00:00.000000' WHERE sequence = 1",
        "DELETE FROM ledger WHERE sequence = 1",
    ],
)
async def test_an_edited_ledger_is_found(h: Harness, runs: Runs, edit: str) -> None:
    await runs.finished()
    await decided(h, 1)
    async with h.kit.database.write() as session:
        await session.execute(text(edit))
    verified = (await h.viewer.get(f"{BASE}/ledger/verify")).json()
    assert (verified["intact"], verified["broken_at"]) == (False, 1)


async def test_every_route_is_guarded(h: Harness) -> None:
    assert await assert_every_route_is_guarded(h) >= 18
