"""How the SDK behaves when services are cut off, busy, away, or say no."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from capstan_client.sdk import transport
from capstan_client.sdk.transport import CapstanProblem, NotText, Transport, UnexpectedAnswer, Unreachable, poll
from capstan_contracts.base import Lenient


class Thing(Lenient):
    name: str


class Service:
    """Behaves as it is told, request by request, and remembers the requests."""

    def __init__(self, *ways: Any) -> None:
        self.ways, self.seen = list(ways), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        way = self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]
        if isinstance(way, Exception):
            raise way
        return way if isinstance(way, httpx.Response) else httpx.Response(way, json={"name": "one"})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_PAUSES_S", (0.0, 0.0, 0.0))


def to(service: Service) -> Transport:
    return Transport(httpx.AsyncClient(transport=httpx.MockTransport(service)), "http://there", "default", "secret")


async def test_cut_connections_and_503_are_tried_again_under_one_key() -> None:
    service = Service(httpx.ReadError("cut"), 503, 200)
    assert (await to(service).post("/things", Thing(name="new"), Thing)).name == "one"
    assert len({request.headers["idempotency-key"] for request in service.seen}) == 1
    assert [request.headers["authorization"] for request in service.seen] == ["Bearer secret"] * 3


async def test_what_is_no_text_is_a_sentence_and_is_not_sent() -> None:
    service = Service(200)
    there = to(service)
    for asked in (
        there.post("/things", Thing.model_construct(name="a\ud800"), Thing),
        there.get("/things/\ud800", Thing),
        there.get("/things", Thing, name="\udfff"),
    ):
        with pytest.raises(NotText, match="half of a surrogate pair"):
            await asked
    assert service.seen == []
    assert (await there.get("/things/Z\u00fcrich\x00", Thing)).name == "one"


async def test_who_never_answers_is_unreachable() -> None:
    with pytest.raises(
        Unreachable, match=r"http://there/v1/projects/default/things .*ConnectError.*Is the platform up"
    ):
        await to(Service(httpx.ConnectError("refused"))).get("/things", Thing)


async def test_a_refusal_has_its_places_and_hint() -> None:
    body = {"title": "Bad", "status": 422, "code": "invalid", "detail": "no", "hint": "Say yes."}
    places = [{"place": "body.name", "rule": "is missing"}]
    service = Service(httpx.Response(422, json={**body, "errors": places}))
    with pytest.raises(CapstanProblem) as said:
        await to(service).get("/things", Thing)
    assert str(said.value) == "Bad: no\n  body.name: is missing\nSay yes."
    assert len(service.seen) == 1


async def test_something_else_at_the_address_is_told() -> None:
    with pytest.raises(UnexpectedAnswer, match="GET http://there/v1/projects/default/things answered 404"):
        await to(Service(httpx.Response(404, text="<html>"))).get("/things", Thing)


async def test_waiting_outlives_a_service_that_is_being_replaced() -> None:
    ways: list[Any] = [1, Unreachable("away"), Unreachable("away"), 2, 3]

    async def look() -> int:
        way = ways.pop(0)
        if isinstance(way, Exception):
            raise way
        return int(way)

    assert await poll(look, lambda seen: seen == 3, timeout_s=5, every_s=0) == 3


async def test_waiting_for_a_service_that_stays_away_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ABSENT_S", 0.05)

    async def look() -> int:
        raise Unreachable("http://there does not answer")

    with pytest.raises(Unreachable):
        await poll(look, bool, timeout_s=60, every_s=0.01)


async def test_what_is_never_done_is_told_with_what_was_seen() -> None:
    async def look() -> str:
        return "running"

    with pytest.raises(TimeoutError, match=r"not done after 0\.05 s; last seen: 'running'"):
        await poll(look, lambda seen: seen == "done", timeout_s=0.05, every_s=0.01)
