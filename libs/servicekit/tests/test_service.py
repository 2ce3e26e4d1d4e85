"""A toy service: routes, permissions, problems, outbox, inbox, dead letters, work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import create_async_engine

from capstan_contracts.base import Wire
from capstan_contracts.errors import Problem
from capstan_contracts.events import BatchQuarantined, Envelope, LabelsReceived
from capstan_contracts.ids import Urn
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.bus.memory import MemoryBus
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.db.tables import DeadLetterRow, InboxRow, InstantColumn, KitBase, WorkRow
from capstan_servicekit.errors import BadRequest, NotFound
from capstan_servicekit.http.routing import Router
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer
from capstan_servicekit.settings import ServiceSettings
from capstan_servicekit.work.kinds import WorkItem
from capstan_servicekit.work.lease import Lease, LeaseLost
from capstan_testkit import harness as harness_module
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import assert_every_route_is_guarded
from capstan_testkit.toy_work import Toil, TwoAttempts

DIGEST = "a" * 64


class Settings(ServiceSettings):
    SERVICE: ClassVar[str] = "monitoring"


class Body(Wire):
    value: float


class Toy:
    """What the toy's handlers saw and how they shall behave."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fail_times = 0
        self.failed: list[str] = []
        self.hold = asyncio.Event()

    def build(self, settings: Settings) -> Service:  # noqa: C901 - a whole service in one function
        kit = Kit.from_settings(settings)
        router = Router(prefix="/v1/projects/{project}")

        @router.get("/things/{name}")
        async def thing(project: ProjectName, name: str, _: Viewer) -> dict[str, str]:
            if name == "broken":
                raise RuntimeError("secret detail")
            raise NotFound(f"no thing {name}", hint="Make one.")

        @router.post("/things")
        async def make(project: ProjectName, body: Body, _: Operator) -> dict[str, bool]:
            async with kit.database.write() as session:
                added = await kit.work.add(session, Toil(str(body.value)), project=project)
                event = LabelsReceived(loop="m", source="s", labels=1, joined=1, unlabelled=0)
                kit.outbox.add(session, event, project=project, subject=Urn(project, "loop", "m"))
            return {"added": added}

        async def on_quarantine(session: WriteSession, envelope: Envelope, event: BatchQuarantined) -> None:
            self.seen.append(event.dataset)
            if event.dataset == "hopeless":
                raise BadRequest("cannot take it")
            if self.fail_times:
                self.fail_times -= 1
                raise RuntimeError("not now")

        async def toil(item: WorkItem[Toil], lease: Lease) -> None:
            self.seen.append(f"toil {item.key} {item.attempt}")
            if item.key == "13.0":
                raise RuntimeError("unlucky")
            if item.key == "7.0":
                await self.hold.wait()
            async with lease.finish():
                pass

        def failed(item: WorkItem[Toil], problem: Problem) -> None:
            self.failed.append(f"{item.key}: {problem.code}")

        return Service(kit, [router], Subscriptions({BatchQuarantined: on_quarantine}), [TwoAttempts(toil, failed)])


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The toy, whose schema is made from the models since it has no migrations."""

    def create(url: str, package: str) -> None:
        async def make() -> None:
            engine = create_async_engine(url)
            async with engine.begin() as connection:
                await connection.run_sync(KitBase.metadata.create_all)
            await engine.dispose()

        if url.startswith("sqlite"):
            Path(sa.make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(make())

    monkeypatch.setattr(harness_module, "upgrade", create)
    return Toy()


@pytest.fixture
async def h(toy: Toy, tmp_path: Path) -> AsyncIterator[Harness]:
    """The running toy, for what has nothing to do with its database."""
    async with running(Settings, toy.build, tmp_path) as harness:
        yield harness


@pytest.fixture
async def either(toy: Toy, tmp_path: Path, database_url: str) -> AsyncIterator[Harness]:
    """The running toy, once on each database."""
    async with running(Settings, toy.build, tmp_path, database_url=database_url) as harness:
        yield harness


def quarantined(dataset: str) -> BatchQuarantined:
    return BatchQuarantined(dataset=dataset, batch=DIGEST, partition="p", rows=1, failed=["x"], failing_rows=1)


async def test_every_route_is_guarded(h: Harness) -> None:
    assert await assert_every_route_is_guarded(h) >= 6


async def test_a_viewer_may_read_and_not_write(h: Harness) -> None:
    assert (await h.viewer.get("/v1/projects/default/things/x")).status_code == 404
    answer = await h.viewer.post("/v1/projects/default/things", json={"value": 1})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"value": NaN}', 400, "malformed-json"), (b'{"value": 1', 400, "malformed-json"),
        (b'{"value": 1, "value": 2}', 400, "malformed-json"), (b"\xff\xfe", 400, "malformed-json"),
        (b"[" * 100_000, 400, "malformed-json"), (b'{"value": "x"}', 422, "invalid-body"),
        (b'{"valu": 1}', 422, "invalid-body"), (b"", 422, "invalid-body"), (b" " * (2 << 20), 413, "body-too-large"),
    ],
)  # fmt: skip
async def test_a_bad_body_gets_a_problem_that_names_place_and_rule(
    h: Harness, body: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = await h.operator.post("/v1/projects/default/things", content=body, headers=headers)
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.code) == (status, code)
    assert problem.errors and problem.errors[0].place and problem.errors[0].rule
    assert problem.request_id == answer.headers["x-request-id"] or status == 413


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (r'{"a": "\ud83e\uddea \ud800"}', 20), (r'{"a": "\\ud800 \u0000"}', 15), (r'{"\uDC00": "\u0000"}', 2),
        (r'{"a": "\ud83e\ud83e\uddea"}', 7),
    ],
)  # fmt: skip
async def test_a_character_that_cannot_be_kept_is_refused_where_it_stands(h: Harness, text: str, at: int) -> None:
    headers = {"content-type": "application/json"}
    answer = await h.operator.post("/v1/projects/default/things", content=text, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (400, f"body, character {at}")


@pytest.mark.parametrize("project", ["Default", "a" * 64, "-x", "a%2e%2e", "..%2f"])
async def test_a_bad_project_name_is_refused(h: Harness, project: str) -> None:
    answer = await h.service.get(f"/v1/projects/{project}/things/x")
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] in ("invalid-name", "route-not-found")


async def test_an_unexpected_error_leaks_nothing(h: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    answer = await h.viewer.get("/v1/projects/default/things/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret detail" not in answer.text and "RuntimeError" not in answer.text


async def test_a_browser_session_reads_once_redeemed_and_never_writes(h: Harness) -> None:
    link = (await h.admin.post("/v1/session-links?path=/docs")).json()["url"]
    path = link.removeprefix("http://testserver")
    answer = await h.anonymous.get(path)
    assert answer.status_code == 303 and answer.headers["location"] == "/docs"
    page = await h.anonymous.get("/docs")
    assert page.status_code == 200 and "https://" not in page.text
    assert len((await h.anonymous.get("/docs/swagger-ui-bundle.js")).content) > 100_000
    assert (await h.anonymous.post("/v1/projects/default/things", json={"value": 1})).status_code == 403
    assert (await h.anonymous.get(path)).status_code == 404
    refused = await h.anonymous.post("/v1/session-links?path=/docs")  # a cookie makes no other one
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await h.admin.post("/v1/session-links?path=//evil.example")).status_code == 422


async def test_events_have_their_effect_once(either: Harness, toy: Toy) -> None:
    envelope = await either.publish(quarantined("flights"), subject=Urn("default", "dataset", "flights"))
    await either.deliver(envelope)
    await either.publish(quarantined("weather"), subject=Urn("default", "dataset", "weather"))

    async def both() -> bool:
        return toy.seen[-1:] == ["weather"]

    await either.until(both)
    assert toy.seen == ["flights", "weather"]


async def test_a_failing_event_is_retried_and_a_hopeless_one_set_aside(either: Harness, toy: Toy) -> None:
    toy.fail_times = 1
    await either.publish(quarantined("flaky"), subject=Urn("default", "dataset", "flaky"))
    await either.publish(quarantined("hopeless"), subject=Urn("default", "dataset", "hopeless"))

    async def letters() -> Any:
        found = (await either.viewer.get("/v1/projects/default/dead-letters")).json()["items"]
        return found if toy.seen.count("flaky") == 2 else None

    (letter,) = await either.until(letters)
    assert "cannot take it" in letter["reason"] and letter["event_type"] == "batch.quarantined.v1"
    answer = await either.operator.post(f"/v1/projects/default/dead-letters/{letter['id']}/replay")
    assert answer.status_code == 400
    async with either.kit.database.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(InboxRow)) == 1


async def test_an_unreadable_event_does_not_stop_the_consumer(either: Harness, toy: Toy) -> None:
    await either.bus.publish("capstan.default.batch.quarantined.v1", b"\x00garbage", message_id="garbage")
    await either.publish(quarantined("after"), subject=Urn("default", "dataset", "after"))

    async def after() -> bool:
        return toy.seen == ["after"]

    await either.until(after)
    async with either.kit.database.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(DeadLetterRow)) == 1


async def test_an_event_waits_for_a_broken_bus(either: Harness) -> None:
    either.bus.break_down()
    assert (await either.operator.post("/v1/projects/default/things", json={"value": 1})).status_code == 200
    assert (await either.anonymous.get("/readyz")).status_code == 503
    await asyncio.sleep(0.2)
    assert either.published(LabelsReceived) == []
    either.bus.mend()

    async def published() -> bool:
        return len(either.published(LabelsReceived)) == 1

    await either.until(published)


async def test_work_is_done_once_per_key_and_failures_are_told(either: Harness, toy: Toy) -> None:
    for value, added in ((1, True), (1, False), (13, True)):
        answer = await either.operator.post("/v1/projects/default/things", json={"value": value})
        assert answer.json() == {"added": added}

    async def failed() -> bool:
        return bool(toy.failed)

    await either.until(failed)
    assert toy.failed == ["13.0: internal"]
    assert sorted(toy.seen) == ["toil 1.0 1", "toil 13.0 1", "toil 13.0 2"]


async def test_a_worker_that_lost_its_lease_cannot_apply(either: Harness, toy: Toy) -> None:
    await either.operator.post("/v1/projects/default/things", json={"value": 7})

    async def started() -> bool:
        return bool(toy.seen)

    await either.until(started)
    async with either.kit.database.write() as session:  # somebody else claims it
        await session.execute(sa.update(WorkRow).values(fence=WorkRow.fence + 1))
    toy.hold.set()
    await asyncio.sleep(0.3)
    async with either.kit.database.read() as reading:
        assert (await reading.scalars(sa.select(WorkRow.state))).all() == ["running"]
    assert issubclass(LeaseLost, Exception)


async def test_cancelled_work_ends_and_says_so(either: Harness, toy: Toy) -> None:
    await either.operator.post("/v1/projects/default/things", json={"value": 7})
    async with either.kit.database.write() as session:
        assert await either.kit.work.cancel(session, Toil("7.0"), project="default")

    async def cancelled() -> bool:
        return toy.failed == ["7.0: conflict"]

    await either.until(cancelled)


async def test_open_work_is_taken_up_after_a_restart(toy: Toy, tmp_path: Path, database_url: str) -> None:
    bus = MemoryBus()
    async with running(Settings, toy.build, tmp_path, bus=bus, database_url=database_url) as first:
        await first.operator.post("/v1/projects/default/things", json={"value": 7})

        async def started() -> bool:
            return bool(toy.seen)

        await first.until(started)
    toy.hold.set()
    async with running(Settings, toy.build, tmp_path, bus=bus, database_url=database_url) as second:

        async def done() -> bool:
            async with second.kit.database.read() as session:
                return (await session.scalars(sa.select(WorkRow.state))).all() == ["succeeded"]

        await second.until(done)
    assert toy.seen == ["toil 7.0 1", "toil 7.0 1"]  # a restart is no failure, so it counts as no attempt


def test_times_without_a_zone_cannot_be_stored() -> None:
    column, dialect = InstantColumn(), sqlite.dialect()
    with pytest.raises(ValueError, match="zone"):
        column.process_bind_param(datetime(2026, 1, 1), dialect)
    assert column.process_result_value(datetime(2026, 1, 1), dialect) == datetime(2026, 1, 1, tzinfo=UTC)
