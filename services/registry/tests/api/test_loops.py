"""Applying loops: whole or not at all, converging, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from capstan_testkit.harness import Harness

PATH = "/v1/projects/default/loops/flight-delay"
OTHERS = ["ingestion", "feature-store", "training", "inference", "monitoring"]


async def test_apply_asks_all_stores_and_hands_out(h: Harness, peers: Any, loop_body: Callable[..., Any]) -> None:
    dry = (await h.admin.put(PATH, json=loop_body(), params={"dry_run": "true"})).json()
    assert dry["dry_run"] is True
    assert [part["service"] for part in dry["parts"]] == [*OTHERS[:3], "registry", *OTHERS[3:]]
    assert (await h.viewer.get(PATH)).status_code == 404
    done = await h.admin.put(PATH, json=loop_body())
    assert done.status_code == 200
    assert (done.json()["generation"], done.json()["applied"]) == (1, True)
    registry = next(part for part in done.json()["parts"] if part["service"] == "registry")
    assert "gate is added: auc >= 0.65" in registry["changes"]
    assert [service for service, dry_run in peers.calls if not dry_run] == OTHERS
    shown = (await h.viewer.get(PATH)).json()
    assert shown["resolved"]["code"] == "ab" * 32
    assert {part["generation"] for part in shown["parts"]} == {1}
    listed = (await h.viewer.get("/v1/projects/default/loops")).json()["items"]
    assert [(loop["name"], "resolved" in loop) for loop in listed] == [("flight-delay", False)]


@pytest.mark.both_databases
async def test_applying_twice_changes_nothing_and_a_change_makes_a_generation(
    h: Harness, loop_body: Callable[..., Any]
) -> None:
    await h.admin.put(PATH, json=loop_body())
    again = (await h.admin.put(PATH, json=loop_body())).json()
    assert again["generation"] == 1
    assert again["applied"] is True
    assert all(part["changes"] == [] for part in again["parts"])
    changed = (await h.admin.put(PATH, json=loop_body(gates=[{"metric": "auc", "min": 0.7}]))).json()
    assert changed["generation"] == 2
    registry = next(part for part in changed["parts"] if part["service"] == "registry")
    assert "gate is added: auc >= 0.7" in registry["changes"]
    assert "gate is removed: auc >= 0.65" in registry["changes"]


async def test_one_refusal_and_nothing_has_changed(h: Harness, peers: Any, loop_body: Callable[..., Any]) -> None:
    peers.refuse = {"feature-store"}
    answer = await h.admin.put(PATH, json=loop_body())
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid-spec"
    assert "feature-store: no such view" in answer.json()["detail"]
    assert answer.json()["errors"] == [{"place": "feature-store: views[0]", "rule": "must exist"}]
    assert peers.taken == {}
    assert (await h.viewer.get(PATH)).status_code == 404


async def test_a_service_that_goes_away_in_the_middle_gets_its_part_later(
    h: Harness, peers: Any, loop_body: Callable[..., Any]
) -> None:
    await h.admin.put(PATH, json=loop_body())
    peers.calls.clear()
    original = type(peers).__call__

    class Leaves(type(peers)):  # type: ignore[misc]
        def __call__(self, request: Any) -> Any:
            leaving = self.gone and request.url.port == 7103 and "dry_run" not in request.url.params
            self.away = {"training"} if leaving else set()
            return original(self, request)

    peers.__class__, peers.gone = Leaves, True
    half = (await h.admin.put(PATH, json=loop_body(gates=[{"metric": "auc", "min": 0.5}]))).json()
    assert half["applied"] is False
    training = next(part for part in half["parts"] if part["service"] == "training")
    assert "not taken yet" in training["changes"][0]
    assert peers.taken == {"ingestion": 2, "feature-store": 2, "training": 1, "inference": 1, "monitoring": 1}
    peers.gone = False

    async def applied() -> bool:
        return bool((await h.viewer.get(PATH)).json()["applied"])

    await h.until(applied)
    assert set(peers.taken.values()) == {2}


async def test_what_is_not_built_yet_is_said_by_place(h: Harness, peers: Any, loop_body: Callable[..., Any]) -> None:
    body = loop_body(serving={"shadow": True, "canary": {"steps": [5]}})
    answer = await h.admin.put(PATH, json=body, params={"dry_run": "true"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "not-built-yet"
    assert {error["place"] for error in answer.json()["errors"]} == {"spec.serving.shadow", "spec.serving.canary"}
    assert peers.calls == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/projects/default/loops/other", {}, 400),
        ("/v1/projects/default/loops/Flight_Delay", {}, 422),
        ("/v1/projects/default/loops/..%2fx", {}, 404),
        (PATH, {"gates": []}, 422),
        (PATH, {"gates": [{"metric": "auc"}]}, 422),
        (PATH, {"gates": [{"metric": "vibes", "min": 1}]}, 422),
        (PATH, {"gates": [{"metric": "auc", "min": 0.5, "surprise": 1}]}, 422),
    ],
)
async def test_malformed_loops_are_refused(
    h: Harness, loop_body: Callable[..., Any], path: str, body: dict[str, Any], status: int
) -> None:
    answer = await h.admin.put(path, json=loop_body(**body))
    assert answer.status_code == status
    assert answer.json()["code"]


async def test_nan_and_duplicate_keys_are_not_json(h: Harness) -> None:
    for content in (b'{"loop": NaN}', b'{"code": "a", "code": "b"}', b"[", b""):
        answer = await h.admin.put(PATH, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)


async def test_who_may_apply(h: Harness, loop_body: Callable[..., Any]) -> None:
    for client, status in ((h.operator, 403), (h.viewer, 403), (h.foreign, 403), (h.anonymous, 401)):
        assert (await client.put(PATH, json=loop_body())).status_code == status
    assert (await h.foreign.get(PATH)).status_code == 403
    elsewhere = await h.foreign.put("/v1/projects/elsewhere/loops/flight-delay", json=loop_body())
    assert elsewhere.status_code == 400
    assert "project" in elsewhere.json()["detail"]


async def test_a_crash_between_storing_and_handing_out_converges_after_the_restart(
    start: Any, peers: Any, loop_body: Callable[..., Any]
) -> None:
    async with start() as h:
        from_store = h.kit.peers.put
        asked = 0

        async def crashes(service: str, path: str, body: Any, into: Any, **params: str) -> Any:
            nonlocal asked
            if "dry_run" not in params:
                asked += 1
                raise ConnectionAbortedError("killed")
            return await from_store(service, path, body, into, **params)

        h.kit.peers.put = crashes
        assert (await h.admin.put(PATH, json=loop_body())).status_code == 500
        assert asked == 1
        assert (await h.viewer.get(PATH)).json()["applied"] is False
    assert peers.taken == {}
    async with start() as h:

        async def applied() -> bool:
            return bool((await h.viewer.get(PATH)).json()["applied"])

        await h.until(applied)
    assert set(peers.taken) == set(OTHERS)
