"""The SDK and answers that are not what they should be; what is tried again, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from capstan_client.sdk import CapstanProblem, UnexpectedAnswer, Unreachable, transport
from capstan_client.sdk.clients import Ingestion, ModelServer, Monitoring, Training
from capstan_client.sdk.transport import Transport, http_client
from capstan_contracts.base import Lenient
from capstan_contracts.rest.common import Page


class Thing(Lenient):
    name: str


class Service:
    """Answers one after the other, the last one for ever."""

    def __init__(self, *ways: Any) -> None:
        self.ways, self.seen = list(ways), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        way = self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]
        if isinstance(way, Exception):
            raise way
        return way if isinstance(way, httpx.Response) else httpx.Response(200, json=way)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_PAUSES_S", (0.0, 0.0))


def to(service: Service) -> Transport:
    return Transport(httpx.AsyncClient(transport=httpx.MockTransport(service)), "http://there", "default", "secret")


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.RemoteProtocolError, httpx.WriteError]
)
async def test_a_connection_that_fails_is_tried_again_until_patience_ends(error: type[httpx.TransportError]) -> None:
    service = Service(error("no"), error("no"), {"name": "one"})
    assert (await to(service).get("/things", Thing)).name == "one"
    service = Service(error("no"))
    with pytest.raises(Unreachable, match=rf"does not answer \({error.__name__}\)\. Is the platform up\?"):
        await to(service).get("/things", Thing)
    assert len(service.seen) == 3


async def test_work_that_was_taken_is_not_asked_for_twice_when_the_answer_is_late() -> None:
    service = Service(httpx.ReadTimeout("late"))
    with pytest.raises(Unreachable, match=r"http://there/v1/.* took the request and did not answer within 120 s"):
        await to(service).post("/things", Thing(name="x"), Thing)
    assert len(service.seen) == 1


async def test_a_service_that_stays_busy_is_told_in_its_own_words() -> None:
    busy = {"title": "Overloaded", "status": 503, "code": "overloaded", "detail": "the queue is full"}
    service = Service(httpx.Response(503, json=busy))
    with pytest.raises(CapstanProblem, match="Overloaded: the queue is full") as said:
        await to(service).get("/things", Thing)
    assert said.value.problem.code == "overloaded" and len(service.seen) == 3


@pytest.mark.parametrize("status", [400, 404, 409, 500, 502, 504])
async def test_other_refusals_are_not_tried_again(status: int) -> None:
    service = Service(httpx.Response(status, json={"title": "No", "status": status, "code": "x", "detail": "d"}))
    with pytest.raises(CapstanProblem):
        await to(service).get("/things", Thing)
    assert len(service.seen) == 1


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    service = Service(httpx.Response(307, headers={"location": "http://evil/"}), {"name": "stolen"})
    with pytest.raises(UnexpectedAnswer, match=r"answered 307, a redirect to http://evil/ which is not followed"):
        await to(service).get("/things", Thing)
    assert [request.url.host for request in service.seen] == ["there"]


async def test_the_real_client_follows_no_redirect_and_no_proxy_of_the_environment() -> None:
    async with http_client() as client:
        assert client.follow_redirects is False and client.trust_env is False
        assert client.timeout == httpx.Timeout(120, connect=3)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"name": "on', r"cannot be read \(Invalid JSON: EOF"),
        (b'{"nam": "one"}', r"cannot be read \(name: Field required\)"),
        (b"", r"no body"),
        (b"\xff\xfe", r"cannot be read"),
    ],
)
async def test_a_success_that_is_none_names_what_is_wrong(body: bytes, why: str) -> None:
    with pytest.raises(
        UnexpectedAnswer, match=rf"GET http://there/v1/projects/default/things answered 200.*{why}"
    ) as said:
        await to(Service(httpx.Response(200, content=body))).get("/things", Thing)
    assert said.value.status == 200


async def test_a_long_page_is_quoted_in_part_and_in_one_line() -> None:
    page = "<html>\n" + "<p>Bad gateway</p>\n" * 200
    with pytest.raises(UnexpectedAnswer) as said:
        await to(Service(httpx.Response(502, text=page))).get("/things", Thing)
    assert len(str(said.value)) < 400 and "\n" not in str(said.value) and str(said.value).endswith("...")


async def cut(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    raise httpx.ReadError("cut")


async def test_a_log_that_breaks_off_is_said_after_the_lines_that_came() -> None:
    service, lines = Service(httpx.Response(200, content=cut(b"one\n", b"two\n"))), list[str]()
    with pytest.raises(Unreachable, match=r"runs/1/logs does not answer \(ReadError\)"):
        async for line in Training(to(service)).logs("1"):
            lines.append(line)
    assert lines == ["one", "two"]


async def test_a_followed_log_is_the_data_of_its_events() -> None:
    text = "event: line\ndata: one\n\ndata:  two\n\n: ping\n\ndata:\n\n"
    service = Service(httpx.Response(200, text=text))
    assert [line async for line in Training(to(service)).logs("1", follow=True)] == ["one", " two", ""]
    assert dict(service.seen[0].url.params) == {"follow": "true"}


async def test_a_log_of_a_run_that_is_not_there_is_a_problem() -> None:
    missing = {"title": "Not found", "status": 404, "code": "not-found", "detail": "no run 1"}
    with pytest.raises(CapstanProblem, match="Not found: no run 1"):
        _ = [line async for line in Training(to(Service(httpx.Response(404, json=missing)))).logs("1")]


async def test_all_pages_of_a_list_are_read() -> None:
    service = Service({"items": [{"name": "a"}], "next": "c1"}, {"items": [{"name": "b"}]})
    found = [thing.name async for thing in Training(to(service)).every("/things", Page[Thing], limit=1)]
    assert found == ["a", "b"]
    assert [dict(request.url.params) for request in service.seen] == [{"limit": "1"}, {"limit": "1", "cursor": "c1"}]


async def test_a_list_whose_cursor_does_not_move_ends() -> None:
    service = Service({"items": [{"name": "a"}], "next": "c"})
    assert len([one async for one in Training(to(service)).every("/things", Page[Thing])]) == 2


async def test_a_moment_in_a_path_arrives_as_it_is() -> None:
    service = Service(httpx.Response(200, content=b"<html>"))
    await Monitoring(to(service)).report("delay", datetime(2013, 4, 1, 12, tzinfo=UTC))
    assert service.seen[0].url.path.endswith("/monitors/delay/windows/2013-04-01T12:00:00Z/report")


async def test_an_upload_sends_bytes_and_leaves_out_what_was_not_given() -> None:
    service = Service(httpx.Response(400, json={"title": "No", "status": 400, "code": "x", "detail": "d"}))
    with pytest.raises(CapstanProblem):
        await Ingestion(to(service)).upload("flights", b"PAR1\x00", partition="p", filename="f")
    (request,) = service.seen
    assert request.content == b"PAR1\x00" and request.headers["content-type"] == "application/octet-stream"
    assert dict(request.url.params) == {"partition": "p", "filename": "f"}


async def test_predictions_of_another_project_have_its_prefix() -> None:
    service = Service({"predictions": [0.5]})
    server = ModelServer(lambda name: f"http://{name.replace('/', '-')}", lambda base: _at(service, base), "acme")
    assert await server.predict("delay", [{"a": 1}]) == {"predictions": [0.5]}
    assert str(service.seen[0].url) == "http://acme-delay/projects/acme/v1/models/delay:predict"


def _at(service: Service, base: str) -> Transport:
    return Transport(httpx.AsyncClient(transport=httpx.MockTransport(service)), base, "acme", "secret")
