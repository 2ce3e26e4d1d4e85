"""The HTTP API: who may, what is refused and why, and what an empty monitor says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.loop import LoopPart
from capstan_monitoring.app import build
from capstan_monitoring.settings import Settings
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import assert_every_route_is_guarded

BASE = "/v1/projects/default"
ID = "01890000-0000-7000-8000-000000000001"


def body(part: LoopPart) -> dict[str, Any]:
    return part.model_dump(mode="json", by_alias=True)


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[Harness]:
    async with running(Settings, build, tmp_path) as harness:
        yield harness


@pytest.fixture
async def watching(h: Harness, make_part: Callable[..., LoopPart]) -> Harness:
    response = await h.service.put(f"{BASE}/loops/delay", json=body(make_part(task="binary")))
    assert response.status_code == 200, response.text
    return h


async def test_no_stranger_gets_in(h: Harness) -> None:
    assert await assert_every_route_is_guarded(h) >= 9


async def test_a_part_is_taken_once_and_a_dry_run_changes_nothing(
    h: Harness, make_part: Callable[..., LoopPart]
) -> None:
    url = f"{BASE}/loops/delay"
    dry = await h.service.put(url, json=body(make_part()), params={"dry_run": "true"})
    assert len(dry.json()["changes"]) == 1
    assert (await h.viewer.get(f"{BASE}/monitors/delay")).status_code == 404
    assert len((await h.service.put(url, json=body(make_part()))).json()["changes"]) == 1
    assert (await h.service.put(url, json=body(make_part()))).json()["changes"] == []
    changed = (await h.service.put(url, json=body(make_part(2, window="2d")))).json()
    assert changed["changes"] == ["monitoring: monitoring.window '1d' becomes '2d'"]
    assert (await h.service.put(url, json=body(make_part(1)))).status_code == 409
    assert (await h.admin.put(url, json=body(make_part()))).status_code == 403
    assert [one["loop"] for one in (await h.viewer.get(f"{BASE}/monitors")).json()["items"]] == ["delay"]


@pytest.mark.parametrize(
    ("monitoring", "place"),
    [
        ({"window": "0s"}, "spec.monitoring.window"),
        ({"window": "400d"}, "spec.monitoring.window"),
        ({"schedule": "0 3 * * *"}, "spec.monitoring.schedule"),
        ({"drift": {"persistence": [1, 1000]}}, "spec.monitoring.drift.persistence"),
    ],
)
async def test_a_part_that_cannot_be_kept_is_refused(
    h: Harness, make_part: Callable[..., LoopPart], monitoring: dict[str, Any], place: str
) -> None:
    response = await h.service.put(f"{BASE}/loops/delay", json=body(make_part(**monitoring)), params={"dry_run": "1"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["place"] == place
    other = await h.service.put(f"{BASE}/loops/other", json=body(make_part()))
    assert other.status_code == 400
    assert other.json()["errors"][0]["place"] == "metadata.name"


async def test_an_empty_monitor(watching: Harness) -> None:
    viewer = watching.viewer
    assert (await viewer.get(f"{BASE}/monitors/delay")).json() == {
        "loop": "delay", "model_version": None, "watermark": None, "alarm": False, "predictions": 0, "labelled": 0,
        "unlabelled": 0, "waiting": 0,
    }  # fmt: skip
    assert (await viewer.get(f"{BASE}/monitors/delay/windows")).json() == {"items": [], "next": None}
    assert (await viewer.get(f"{BASE}/monitors/delay/retrains")).json() == {"items": [], "next": None}
    assert (await viewer.get(f"{BASE}/monitors/delay/quality")).json() == []


async def test_the_watermark_never_goes_back(watching: Harness) -> None:
    url = f"{BASE}/monitors/delay/watermark"
    for given, wanted in (
        ("2013-03-02T00:00:00Z", "2013-03-02T00:00:00Z"),
        ("2013-03-01T00:00:00Z", "2013-03-02T00:00:00Z"),
        ("2013-03-03T01:00:00+01:00", "2013-03-03T00:00:00Z"),
    ):
        response = await watching.operator.post(url, json={"event_time": given})
        assert response.json()["watermark"] == wanted
    assert (await watching.viewer.post(url, json={"event_time": "2013-03-02T00:00:00Z"})).status_code == 403


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"event_time": NaN}', b'{"event_time": "soon"}', b'{"event_time": "2013-03-02T00:00:00"}',
        b'{"event_time": "2013-03-02T00:00:00Z", "more": 1}', b'{"event_time": null}',
        b'{"event_time": "2013-03-02T00:00:00Z", "event_time": "2013-03-02T00:00:00Z"}',
    ],
)  # fmt: skip
async def test_a_watermark_that_is_none(watching: Harness, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await watching.operator.post(f"{BASE}/monitors/delay/watermark", content=content, headers=headers)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert (await watching.viewer.get(f"{BASE}/monitors/delay")).json()["watermark"] is None


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ({"prediction_id": ID, "value": 0.5}, "labels[0].value"),
        ({"prediction_id": ID, "value": -1}, "labels[0].value"),
        ({"value": 1}, "labels[0]"),
        ({"prediction_id": ID, "keys": {"flight": 1}, "value": 1}, "labels[0]"),
        ({"keys": {"flight": 1}, "value": 1}, "labels[0].keys"),
        ({"keys": {"flight": 1, "departure": "soon"}, "value": 1}, "labels[0].keys"),
        ({"keys": {"flight": None, "departure": "2013-03-01T00:00:00Z"}, "value": 1}, "labels[0].keys"),
        ({"keys": {"flight": [1], "departure": "2013-03-01T00:00:00Z"}, "value": 1}, "labels[0].keys"),
        ({"keys": {"flight": 1, "departure": "2013-03-01T00:00:00Z", "x": 1}, "value": 1}, "labels[0].keys"),
    ],
)
async def test_labels_that_break_a_rule(watching: Harness, label: dict[str, Any], place: str) -> None:
    response = await watching.operator.post(f"{BASE}/labels", json={"loop": "delay", "labels": [label]})
    assert response.status_code == 422
    problem = response.json()
    assert problem["errors"][0]["place"] == place
    assert problem["hint"]


@pytest.mark.parametrize(
    "content",
    [
        b'{"loop": "delay", "labels": []}', b'{"loop": "delay"}', b'{"loop": "delay", "labels": [{"value": NaN}]}',
        b'{"loop": "delay", "labels": [{"prediction_id": "../../etc", "value": 1}]}',
        b'{"loop": "delay", "labels": [{"prediction_id": "' + ID.encode() + b'", "value": 1e999}]}',
        b'{"loop": "delay", "labels": "all"}', b"\xff\xfe", b'{"loop": "delay", "labels": [1]}',
    ],
)  # fmt: skip
async def test_bodies_that_are_no_labels(watching: Harness, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await watching.operator.post(f"{BASE}/labels", content=content, headers=headers)
    assert response.status_code in (400, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_labels_of_unknown_loops_and_of_viewers(watching: Harness) -> None:
    good = {"loop": "delay", "labels": [{"prediction_id": ID, "value": 1}]}
    assert (await watching.viewer.post(f"{BASE}/labels", json=good)).status_code == 403
    assert (await watching.operator.post(f"{BASE}/labels", json=good | {"loop": "other"})).status_code == 404
    headers = {"idempotency-key": "k"}
    answer = await watching.operator.post(f"{BASE}/labels", json=good, headers=headers)
    assert answer.json() == {"received": 1, "joined": 0, "unknown": 1}
    other = good | {"labels": [{"prediction_id": ID, "value": 0}]}
    assert (await watching.operator.post(f"{BASE}/labels", json=other, headers=headers)).status_code == 409


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/monitors/other", 404),
        ("/monitors/other/windows", 404),
        ("/monitors/other/quality", 404),
        ("/monitors/other/retrains", 404),
        ("/monitors/UPPER", 422),
        ("/monitors/%2e%2e", 422),
        ("/monitors/delay/windows?limit=0", 422),
        ("/monitors/delay/windows?cursor=x", 422),
        ("/monitors/delay/windows?cursor=2013-03-01T00:00:00Z~x", 422),
        ("/monitors/delay/windows?cursor=2013-03-01T00:00:00Z~1", 200),
        ("/monitors/delay/retrains?cursor=1", 422),
        ("/monitors/delay/windows/soon/report", 422),
        ("/monitors/delay/windows/2013-03-01/report", 422),
        ("/monitors/delay/windows/2013-03-01T00:00:00Z/report", 404),
        ("/monitors/delay/windows/2013-03-01T00:00:00Z/report?version=0", 422),
        ("/monitors/delay/windows/..%2f..%2fetc/report", 404),
    ],
)
async def test_addresses(watching: Harness, path: str, status: int) -> None:
    response = await watching.viewer.get(f"{BASE}{path}")
    assert response.status_code == status, response.text
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_foreign_projects_monitor_is_not_there(watching: Harness) -> None:
    assert (await watching.foreign.get("/v1/projects/elsewhere/monitors/delay")).status_code == 404
    assert (await watching.foreign.get("/v1/projects/elsewhere/monitors")).json()["items"] == []
    answer = await watching.foreign.post(
        "/v1/projects/elsewhere/labels", json={"loop": "delay", "labels": [{"prediction_id": ID, "value": 1}]}
    )
    assert answer.status_code == 404
