"""The HTTP API: who may, what is refused and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capstan_feature_store.settings import Settings
from capstan_feature_store.tables import Base
from capstan_testkit.harness import Harness
from capstan_testkit.routes import assert_every_route_is_guarded
from capstan_testkit.schema import assert_migrations_match

P = "/v1/projects/default"
World = Any


def test_migrations_are_the_models(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)


async def test_every_route_is_guarded(h: Harness) -> None:
    assert await assert_every_route_is_guarded(h) >= 10


async def put(h: Harness, world: World, *, query: str = "", **how: Any) -> Any:
    return await h.service.put(f"{P}/loops/flight-delay{query}", json=world.loop_part(**how))


async def test_a_loop_is_taken_once_and_only_from_services(h: Harness, world: World) -> None:
    part = world.loop_part()
    for client in (h.viewer, h.operator, h.admin):
        assert (await client.put(f"{P}/loops/flight-delay", json=part)).status_code == 403
    dry = (await put(h, world, query="?dry_run=true")).json()
    assert len(dry["changes"]) == 3
    assert (await h.viewer.get(f"{P}/views")).json()["items"] == []
    assert (await put(h, world)).json()["changes"] == dry["changes"]
    for generation in (1, 2, 1):
        assert (await put(h, world, generation=generation)).json()["changes"] == []
    views = (await h.viewer.get(f"{P}/views")).json()["items"]
    assert {view["name"] for view in views} == {"carrier_recent", "planes"}
    service = (await h.viewer.get(f"{P}/feature-services/flight_v1")).json()
    assert service["views"] == {view["name"]: view["version"] for view in views}
    assert (await h.viewer.get("/v1/projects/elsewhere/views")).status_code == 403
    assert (await h.foreign.get("/v1/projects/elsewhere/views/planes")).status_code == 404


async def test_an_older_generation_or_another_loops_names_are_a_conflict(h: Harness, world: World) -> None:
    assert (await put(h, world, generation=3)).status_code == 200
    changed = world.definitions(ttl="2h")
    assert (await put(h, world, generation=2, made=changed)).status_code == 409
    other = world.loop_part(1, changed, name="other")
    assert (await h.service.put(f"{P}/loops/other", json=other)).status_code == 409
    described = world.definitions(description="new words")
    assert (await put(h, world, generation=4, made=described)).json()["changes"] == [
        "view carrier_recent has another description"
    ]
    fewer = world.definitions(description="new words")
    fewer["views"] = fewer["views"][:1]
    fewer["service"]["lookups"] = fewer["service"]["lookups"][:1]
    assert len((await put(h, world, generation=5, made=fewer)).json()["changes"]) == 2
    assert [view["name"] for view in (await h.viewer.get(f"{P}/views")).json()["items"]] == ["carrier_recent"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, "views[carrier_recent].sql"),
        ({"sql": "SELECT * FROM flights; DROP TABLE flights"}, "views[carrier_recent].sql"),
        ({"dataset": "other"}, "definitions.views[carrier_recent].dataset"),
    ],
)
async def test_bad_definitions_are_refused_with_place_and_rule(
    h: Harness, world: World, fields: dict[str, Any], place: str
) -> None:
    for query in ("?dry_run=true", ""):
        response = await put(h, world, query=query, made=world.definitions(**fields))
        assert (response.status_code, response.json()["code"]) == (400, "invalid-spec")
        assert place in {error["place"] for error in response.json()["errors"]}
    assert (await h.viewer.get(f"{P}/views")).json()["items"] == []


async def test_a_loop_under_another_name_is_refused(h: Harness, world: World) -> None:
    response = await h.service.put(f"{P}/loops/other", json=world.loop_part())
    assert (response.status_code, response.json()["errors"][0]["place"]) == (400, "metadata.name")


@pytest.mark.parametrize(
    ("body", "status", "places"),
    [
        ({"feature_service": "nope", "entities": {}}, 404, set()),
        ({"feature_service": "../x", "entities": {}}, 422, {"body.feature_service"}),
        ({"feature_service": "flight_v1", "entities": {"carrier": "AA"}}, 422, {"body.entities.carrier"}),
        ({"feature_service": "flight_v1", "entities": {"carrier": ["AA"]}}, 422, {"entities.tailnum"}),
        (
            {"feature_service": "flight_v1", "entities": {"carrier": [1], "tailnum": ["N"]}},
            422,
            {"entities.carrier[0]"},
        ),
        ({"feature_service": "flight_v1", "entities": {"carrier": ["A"], "tailnum": ["N", "M"]}}, 422, {"entities"}),
        ({"feature_service": "flight_v1", "entities": {}, "event_time": "2013-01-01"}, 422, {"body.event_time"}),
        ({"feature_service": "flight_v1", "entities": {}, "more": 1}, 422, {"body.more"}),
    ],
)
async def test_bad_online_requests_are_refused(
    h: Harness, world: World, body: dict[str, Any], status: int, places: set[str]
) -> None:
    await put(h, world)
    response = await h.viewer.post(f"{P}/online-features", json=body)
    assert response.status_code == status, response.text
    assert {error["place"] for error in response.json()["errors"]} >= places


async def test_json_that_is_not_json_is_refused(h: Harness) -> None:
    text = '{"feature_service": "flight_v1", "entities": {"carrier": [NaN]}}'
    response = await h.viewer.post(f"{P}/online-features", content=text, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed-json")


async def test_bad_training_set_requests_are_refused(h: Harness, world: World) -> None:
    await put(h, world)
    await world.commit("planes", world.PLANES, world.PLANE_ROWS)
    flights = await world.commit("flights", world.FLIGHTS, world.FIRST)
    good = {"feature_service": "flight_v1", "dataset": "flights", "dataset_version": flights.version, "label": "late"}
    assert (await h.viewer.post(f"{P}/training-sets", json=good)).status_code == 403
    for change, status in (
        ({"feature_service": "nope"}, 404),
        ({"dataset": "nope"}, 404),
        ({"dataset_version": "0" * 64}, 404),
        ({"dataset_version": "latest"}, 422),
        ({"sources": {"planes": "f" * 12}}, 404),
        ({"sources": {"weather": "f" * 12}}, 400),
        ({"label": 7}, 422),
    ):
        response = await h.operator.post(f"{P}/training-sets", json={**good, **change})
        assert response.status_code == status, response.text
    for path, status in (
        (f"training-sets/{'0' * 64}", 404),
        ("training-sets/..%2f..%2fetc", 404),
        ("training-sets/abc", 422),
    ):
        assert (await h.viewer.get(f"{P}/{path}")).status_code == status


async def test_an_idempotency_key_gives_the_same_resource_and_no_other(h: Harness, world: World) -> None:
    await put(h, world)
    await world.commit("planes", world.PLANES, world.PLANE_ROWS)
    headers = {"idempotency-key": "k1"}
    first = await h.operator.post(f"{P}/materializations", json={"view": "planes"}, headers=headers)
    assert first.status_code == 202
    await world.commit("planes", world.PLANES, world.PLANE_ROWS[:1])
    again = await h.operator.post(f"{P}/materializations", json={"view": "planes"}, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    other = await h.operator.post(f"{P}/materializations", json={"view": "carrier_recent"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-mismatch")
    newer = await h.operator.post(f"{P}/materializations", json={"view": "planes"})
    assert newer.json()["id"] != first.json()["id"]


async def test_bad_materializations_are_refused(h: Harness, world: World) -> None:
    await put(h, world)
    assert (await h.operator.post(f"{P}/materializations", json={"view": "nope"})).status_code == 404
    assert (await h.operator.post(f"{P}/materializations", json={"view": "planes"})).status_code == 404
    assert (await h.viewer.post(f"{P}/materializations", json={"view": "planes"})).status_code == 403
    assert (await h.viewer.get(f"{P}/materializations/01890000-0000-7000-8000-000000000000")).status_code == 404
    assert (await h.viewer.get(f"{P}/materializations/nope")).status_code == 422
    assert (await h.viewer.get(f"{P}/materializations?view=No;")).status_code == 422
