"""Calls to other services: what is sent along, what comes back as which error, and how long one is patient."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from capstan_contracts.errors import Code, Problem
from capstan_contracts.rest.common import PartStatus
from capstan_servicekit import errors, peers
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import (
    CapstanError,
    Conflict,
    Invalid,
    NotReady,
    Protected,
    Unauthenticated,
    Upstream,
    from_problem,
)
from capstan_servicekit.peers import Peers
from capstan_servicekit.settings import ServiceSettings
from capstan_servicekit.telemetry.trace import span, trace_id


class Settings(ServiceSettings):
    SERVICE: ClassVar[str] = "registry"


STATUS = PartStatus(service="training", loop="m", generation=2)
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def calling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Peers]:
    """Peers that a function answers for; nobody waits."""
    monkeypatch.setattr(peers, "_PATIENCE_S", (0.0, 0.0))
    (tmp_path / "token").write_text("cap_own\n")
    settings = Settings(home=tmp_path, token_file=tmp_path / "token", peers={"training": "http://training.test/base"})
    return lambda answer: Peers(settings, httpx.MockTransport(answer))


async def test_identity_trace_key_and_body_go_along(calling: Callable[[Answer], Peers]) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=STATUS.model_dump_json())

    made = calling(answer)
    with span(None):
        story = trace_id()
        assert await made.post("training", "/v1/x", STATUS, PartStatus, key="k1") == STATUS
    assert await made.get("training", "/v1/y", PartStatus, after="a b") == STATUS
    post, get = seen
    assert str(post.url) == "http://training.test/base/v1/x" and PartStatus.model_validate_json(post.content) == STATUS
    assert post.headers["authorization"] == "Bearer cap_own" and post.headers["idempotency-key"] == "k1"
    assert post.headers["traceparent"][3:35] == story and post.headers["content-type"] == "application/json"
    assert get.url.query == b"after=a+b" and "idempotency-key" not in get.headers
    assert get.headers["traceparent"][3:35] != story
    await made.close()


async def test_a_token_is_read_anew_for_each_call(calling: Callable[[Answer], Peers], tmp_path: Path) -> None:
    tokens: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tokens.append(request.headers["authorization"])
        return httpx.Response(204)

    made = calling(answer)
    await made.request("training", "GET", "/")
    (tmp_path / "token").write_text("cap_next")
    await made.request("training", "GET", "/")
    (tmp_path / "token").unlink()
    with pytest.raises(NotReady, match="no identity: token is missing"):
        await made.request("training", "GET", "/")
    assert tokens == ["Bearer cap_own", "Bearer cap_next"]
    await made.close()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (httpx.Response(500, text="<html>"), Upstream, "training answered 500 without a problem body"),
        (httpx.Response(404, json={"detail": "x"}), Upstream, "training answered 404 without a problem body"),
        (httpx.Response(302, headers={"location": "/x"}), Upstream, "training answered 302 without"),
        (httpx.Response(200, text="[]"), Upstream, "something that is not a PartStatus"),
        (httpx.Response(200, json={"service": "training"}), Upstream, "something that is not a PartStatus"),
    ],
)
async def test_nonsense_is_the_other_ones_fault(
    calling: Callable[[Answer], Peers], answer: httpx.Response, error: type[CapstanError], says: str
) -> None:
    made = calling(lambda _: answer)
    with pytest.raises(error, match=says):
        await made.get("training", "/", PartStatus)
    await made.close()


@pytest.mark.parametrize(("failure", "said"), [(503, "still loading"), (httpx.ConnectError, "cannot be reached")])
async def test_patience_ends_with_what_the_last_answer_said(
    calling: Callable[[Answer], Peers], failure: Any, said: str
) -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        if failure == 503:
            return httpx.Response(503, json={"title": "x", "status": 503, "code": "overloaded", "detail": said})
        raise failure("no")

    made = calling(answer)
    with pytest.raises(NotReady, match=said):
        await made.get("training", "/", PartStatus)
    assert len(calls) == 3
    await made.close()


CLASSES = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CapstanError)
    and kind is not CapstanError
]  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_to_who_asked_the_one_who_was_asked(kind: type[CapstanError]) -> None:
    """A service that hands an error on must neither turn a caller's mistake into ours nor the other way round."""
    original = kind("what", hint="do", errors=errors.broken("a", "b"), figures={"n": 1})
    problem = original.problem(instance="/x", request_id="r")
    raised = from_problem(Problem.model_validate_json(problem.model_dump_json()))
    assert (raised.status, raised.permanent, raised.problem_code) == (
        original.status, original.permanent, original.problem_code,
    )  # fmt: skip
    assert (raised.detail, raised.hint, raised.errors, raised.figures) == ("what", "do", original.errors, {"n": 1})


def test_a_code_of_a_newer_release_is_that_of_its_status() -> None:
    statuses = (401, 409, 429, 503, 504)
    found = [from_problem(Problem(status=status, title="Slow down", code="too-fast")) for status in statuses]
    assert [type(error) for error in found] == [Unauthenticated, Conflict, errors.BadRequest, NotReady, Upstream]
    assert found[2].problem_code is Code.BAD_REQUEST and found[2].detail == "Slow down"


def test_a_code_does_not_change_the_status_of_its_class() -> None:
    problem = errors.BadRequest("too slow", code=Code.DEADLINE).problem()
    assert (problem.status, problem.code, problem.title) == (400, "deadline-exceeded", Code.DEADLINE.summary)
    assert Protected("x").problem().status == 403


# -- the Idempotency-Key at the other end


def test_a_fingerprint_tells_where_one_part_ends() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc") != fingerprint("abc") != fingerprint("abc", "")
    assert fingerprint("é") == fingerprint("é".encode())


async def test_a_key_is_bound_to_its_request_and_its_project(kit_database: Database) -> None:
    now = datetime.now(UTC)
    async with kit_database.write() as session:
        remember(session, "p", "k", "one", {"id": 1}, now)
        remember(session, "p", None, "one", {"id": 2}, now)
    async with kit_database.write() as session:
        assert await recall(session, "p", "k", "one") == {"id": 1}
        assert await recall(session, "q", "k", "one") is None
        assert await recall(session, "p", None, "one") is None
        assert await recall(session, "p", "x" * 200, "one") is None
        with pytest.raises(Conflict) as refused:
            await recall(session, "p", "k", "two")
        assert refused.value.problem_code is Code.IDEMPOTENCY_MISMATCH
        for key in ("", "x" * 201):
            with pytest.raises(Invalid, match="not usable"):
                await recall(session, "p", key, "one")


async def test_a_key_of_a_request_that_failed_is_free_again(kit_database: Database) -> None:
    now = datetime.now(UTC)
    with pytest.raises(LookupError):
        async with kit_database.write() as session:
            remember(session, "p", "k", "one", {"id": 1}, now)
            raise LookupError
    async with kit_database.write() as session:
        assert await recall(session, "p", "k", "two") is None
