"""The edge of every service: limits of bodies that come in pieces, a problem for whatever goes wrong, sessions."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import APIRouter, Request
from prometheus_client import generate_latest

from capstan_contracts.base import Wire
from capstan_contracts.errors import Problem
from capstan_servicekit.errors import BadRequest, NotReady, Upstream
from capstan_servicekit.http.hosts import KnownHosts
from capstan_servicekit.http.routing import Router, declared_routes
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.security.auth import Anybody, Operator, ProjectName, Viewer
from capstan_servicekit.settings import ServiceSettings
from capstan_testkit import harness as harness_module
from capstan_testkit.harness import Harness, running


class Settings(ServiceSettings):
    SERVICE: ClassVar[str] = "monitoring"


class Body(Wire):
    value: float


def build(settings: Settings) -> Service:
    router = Router(prefix="/v1/projects/{project}")

    @router.post("/things")
    async def make(project: ProjectName, body: Body, _: Operator) -> dict[str, float]:
        return {"value": body.value}

    @router.post("/files")
    async def upload(project: ProjectName, request: Request, _: Operator) -> dict[str, int]:
        return {"bytes": sum([len(chunk) async for chunk in request.stream()])}

    @router.get("/trouble/{kind}")
    async def trouble(project: ProjectName, kind: str, _: Viewer) -> None:
        if kind == "full":
            raise RuntimeError("the object is not kept") from OSError(errno.ENOSPC, "No space left on device")
        raise {"away": NotReady, "upstream": Upstream}[kind]("cannot reach nats://a:hunter2@broker", hint="Start it.")

    return Service(Kit.from_settings(settings), [router], uploads="/files$")


@pytest.fixture
async def h(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    monkeypatch.setattr(harness_module, "_migrate", lambda settings: None)  # nothing here needs a table
    async with running(Settings, build, tmp_path, max_body_bytes=1024, max_upload_bytes=2048) as harness:
        yield harness


async def pieces(size: int) -> AsyncIterator[bytes]:
    """A body whose length no header tells."""
    while size > 0:
        yield b" " * min(size, 300)
        size -= 300


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("things", 1024, 400), ("things", 1025, 413), ("files", 2048, 200), ("files", 2049, 413)],
)
@pytest.mark.parametrize("in_pieces", [True, False])
async def test_a_body_is_limited_whether_or_not_its_length_is_told(
    h: Harness, path: str, size: int, status: int, in_pieces: bool
) -> None:
    content: Any = pieces(size) if in_pieces else b" " * size
    headers = {"content-type": "application/json"}
    answer = await h.operator.post(f"/v1/projects/default/{path}", content=content, headers=headers)
    assert answer.status_code == status
    if status == 413:
        problem = Problem.model_validate_json(answer.content)
        limit = 1024 if path == "things" else 2048
        assert (problem.code, problem.errors[0].rule) == ("body-too-large", f"at most {limit} bytes")
        assert problem.instance == f"/v1/projects/default/{path}"
        assert problem.request_id == answer.headers["x-request-id"]


async def test_a_body_of_a_stranger_is_not_even_read(h: Harness) -> None:
    read: list[bytes] = []

    async def never() -> AsyncIterator[bytes]:
        for piece in (b"read",):
            read.append(piece)
            yield piece

    for client, status in ((h.anonymous, 401), (h.viewer, 403)):
        assert (await client.post("/v1/projects/default/files", content=never())).status_code == status
    assert read == []


@pytest.mark.parametrize(("kind", "status", "retry"), [("away", 503, "1"), ("upstream", 502, None)])
async def test_what_comes_back_says_when_to_ask_again_and_no_secret(
    h: Harness, kind: str, status: int, retry: str | None
) -> None:
    answer = await h.viewer.get(f"/v1/projects/default/trouble/{kind}")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry)
    body = answer.json()
    assert body["detail"] == "cannot reach nats://[redacted]@broker" and body["hint"] == "Start it."
    assert "figures" not in body and body["request_id"] == answer.headers["x-request-id"]


async def test_a_full_disk_is_said(h: Harness) -> None:
    answer = await h.viewer.get("/v1/projects/default/trouble/full")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert f"the volume of {h.home} is full; give the volume of CAPSTAN_HOME more room" in answer.json()["detail"]


async def test_only_a_missing_principal_is_asked_for_a_token(h: Harness) -> None:
    path = "/v1/projects/default/trouble/away"
    assert (await h.anonymous.get(path)).headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in (await h.foreign.get(path)).headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v1/nowhere", 404, "route-not-found"), ("DELETE", "/healthz", 405, "method-not-allowed")],
)
async def test_a_route_that_is_none_is_named(h: Harness, method: str, path: str, status: int, code: str) -> None:
    answer = await h.anonymous.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"] == f"{method} {path} is not a route of this service"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"value": ' + b"9" * 5000 + b"}", "not JSON"), (b'{"value": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": {"b": 1, "b": 1}}', "the same key twice"),
    ],
)  # fmt: skip
async def test_json_that_only_python_takes_is_none(tmp_path: Path, body: bytes, says: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(harness_module, "_migrate", lambda settings: None)
    async with running(Settings, build, tmp_path) as h:
        headers = {"content-type": "application/json"}
        answer = await h.operator.post("/v1/projects/default/things", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json")
    assert says in answer.json()["detail"]


async def test_each_wrong_field_has_its_place_and_the_first_is_the_sentence(h: Harness) -> None:
    answer = await h.operator.post("/v1/projects/default/things", json={"value": "x", "more": 1})
    body = answer.json()
    assert [error["place"] for error in body["errors"]] == ["body.value", "body.more"]
    assert body["detail"].startswith("body.value: ") and body["detail"].endswith("(and 1 more)")


@pytest.mark.parametrize("path", ["docs", "//evil.example", "/\\evil.example", "https://evil.example", ""])
async def test_a_session_link_leads_nowhere_else(h: Harness, path: str) -> None:
    answer = await h.viewer.post("/v1/session-links", params={"path": path})
    assert answer.status_code == 422 and answer.json()["errors"][0]["place"] == "query.path"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7106", 200), ("LOCALHOST", 200), ("localhost.", 200), ("[::1]:80", 200), ("ml.example.org", 200),
        ("capstan-monitoring:80", 200), ("capstan-monitoring.ml.svc", 200),
        ("capstan-monitoring.ml.svc.cluster.local:80", 200),
        ("evil.example", 400), ("127.0.0.1.evil.example", 400), ("capstan-monitoring.evil.example", 400), ("", 400),
        ("capstan-monitoring.ml.svc.evil.example", 400), ("capstan-monitoringx.ml.svc", 400), ("a b", 400),
        ("127.0.0.1:x", 400), ("10.1.2.3", 400), ("127.0.0.1, evil.example", 400),
    ],
)  # fmt: skip
def test_a_request_for_another_host_is_refused(monkeypatch: pytest.MonkeyPatch, host: str, status: int) -> None:
    monkeypatch.setenv("CAPSTAN_PEERS", '{"monitoring": "http://capstan-monitoring:80"}')
    known, headers = KnownHosts(Settings(hosts=frozenset({"ML.example.org"}))), [(b"host", host.encode())]
    known.check("/healthz", headers)
    if status == 200:
        known.check("/docs", headers)
        return
    with pytest.raises(BadRequest) as refused:
        known.check("/docs", headers)
    (error,) = refused.value.errors
    assert error.place == "header Host" and "CAPSTAN_HOSTS" in error.rule


def test_a_service_that_listens_everywhere_is_reached_by_any_address_and_no_other_name() -> None:
    known = KnownHosts(Settings(host="0.0.0.0"))
    for address in (b"10.96.3.7:7101", b"[fd00::7]:7101"):
        known.check("/docs", [(b"host", address)])
    for name in (b"evil.example", b"10.96.3.7.evil.example", b"[fd00::7].evil.example"):
        with pytest.raises(BadRequest):
            known.check("/docs", [(b"host", name)])


async def test_every_route_but_health_asks_for_the_host(h: Harness) -> None:
    foreign = {"host": "evil.example"}
    answer = await h.operator.post("/v1/projects/default/things", json={"value": 1}, headers=foreign)
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (400, "header Host")
    assert (await h.anonymous.get("/v1/nowhere", headers=foreign)).status_code == 400
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = await h.anonymous.get(path, headers=foreign)
        assert answer.status_code in (200, 503)  # it may say that this service's loops find no table


async def test_a_broken_principals_file_is_told_by_readiness(h: Harness) -> None:
    body = {"value": 1}
    assert (await h.operator.post("/v1/projects/default/things", json=body)).status_code == 200
    (h.home / "secrets" / "principals.json").write_text('{"principals": [{"id"')
    assert (await h.operator.post("/v1/projects/default/things", json=body)).status_code == 200
    told = (await h.anonymous.get("/readyz")).json()
    (warning,) = told["warnings"]
    assert warning.startswith("principals: ") and "holds on" in warning
    assert not any("principals" in sentence for sentence in told["missing"])


async def test_requests_are_counted_by_route_and_not_by_name(h: Harness) -> None:
    for name in ("away", "upstream"):
        await h.viewer.get(f"/v1/projects/default/trouble/{name}")
    await h.viewer.get("/v1/unknown/secret-name")
    text = generate_latest(h.kit.metrics.registry).decode()
    route = 'method="GET",route="/v1/projects/{project}/trouble/{kind}"'
    assert f'_count{{{route},status="503"}} 1.0' in text and f'_count{{{route},status="502"}} 1.0' in text
    assert 'route="unknown",status="404"' in text and "secret-name" not in text


def test_a_route_without_a_permission_keeps_the_service_from_starting() -> None:
    open_, plain = Router(), APIRouter()

    @open_.get("/declared")
    async def declared(_: Anybody) -> None: ...

    assert [route.path for route in declared_routes([open_])] == ["/declared"]

    @open_.get("/forgotten")
    async def forgotten() -> None: ...

    @plain.get("/unsecured")
    async def unsecured(_: Anybody) -> None: ...

    for router, path in ((open_, "/forgotten"), (plain, "/unsecured")):
        with pytest.raises(RuntimeError, match=f"the route '{path}' declares no permission"):
            declared_routes([router])
