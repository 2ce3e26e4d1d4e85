"""Leases on a clock that stands: who may have an item, when it is due, and what is written when an attempt ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from capstan_contracts.errors import Code, Problem
from capstan_contracts.work import Progress, State, WorkStatus
from capstan_servicekit.clock import ManualClock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import WorkRow
from capstan_servicekit.errors import BadRequest, CapstanError, NotReady, Upstream
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import span
from capstan_servicekit.work.claims import Claim, Claims
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease, LeaseLost
from capstan_servicekit.work.outcomes import AWAY_ATTEMPTS, Outcomes
from capstan_servicekit.work.queue import WorkQueue
from capstan_testkit.toy_work import Toil

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 10.0


@dataclass(frozen=True)
class Other:
    """Another kind with keys of the same form."""

    KIND: ClassVar[str] = "other"
    key: str = ""


class ThreeAttempts(Work[Toil]):
    """Remembers how items ended; a test drives its attempts itself."""

    Payload = Toil
    max_attempts = 3
    backoff_s = 4.0

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []

    async def run(self, item: WorkItem[Toil], lease: Lease) -> None:
        raise NotImplementedError

    async def failed(self, session: WriteSession, item: WorkItem[Toil], problem: Problem) -> None:
        self.ended.append((item.payload.key, problem.code))


class Bench:
    """Queue, claims of two workers and outcomes on one database and one clock."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock = database, ManualClock(START)
        self.queue, self.work, metrics = WorkQueue(self.clock), ThreeAttempts(), Metrics("toy")
        self.one, self.two = (Claims(database, self.clock, LEASE_S) for _ in range(2))
        self.outcomes = Outcomes(database, self.clock, metrics)
        self._metrics = metrics

    async def add(self, *keys: str, **options: Any) -> list[bool]:
        added = []
        for key in keys:
            async with self.database.write() as session:
                added.append(await self.queue.add(session, Toil(key), **{"project": "p"} | options))
            self.clock.advance(timedelta(microseconds=1))
        return added

    async def claim(self, claims: Claims | None = None) -> Claim:
        claim = await (claims or self.one).next("toil")
        assert claim is not None
        return claim

    async def status(self, key: str = "a") -> WorkStatus:
        async with self.database.read() as session:
            status = await self.queue.status(session, Toil(key), project="p")
        assert status is not None
        return status

    async def cancel(self, key: str = "a", project: str = "p") -> bool:
        async with self.database.write() as session:
            return await self.queue.cancel(session, Toil(key), project=project)

    def pass_s(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def counted(self, outcome: str) -> float:
        return float(self._metrics.work.labels("toil", outcome)._value.get())


@pytest.fixture
def bench(kit_database: Database) -> Bench:
    return Bench(kit_database)


# -- adding


async def test_a_key_is_one_item_of_its_kind_and_project(bench: Bench) -> None:
    assert await bench.add("a", "a", "b") == [True, False, True]
    assert await bench.add("a", project="q") == [True]
    async with bench.database.write() as session:
        assert await bench.queue.add(session, Other("a"), project="p")
        assert await bench.queue.status(session, Other("b"), project="p") is None


async def test_what_is_rolled_back_was_never_added(bench: Bench) -> None:
    with pytest.raises(RuntimeError):
        async with bench.database.write() as session:
            await bench.queue.add(session, Toil("a"), project="p")
            raise RuntimeError("the rest of the transaction failed")
    assert await bench.one.next("toil") is None and await bench.add("a") == [True]


async def test_a_finished_item_is_not_done_again(bench: Bench) -> None:
    await bench.add("a")
    async with (await bench.claim()).lease.finish():
        pass
    assert await bench.add("a") == [False] and await bench.one.next("toil") is None


@pytest.mark.parametrize(
    ("prefix", "found"), [("", ["a%b", "a_b", "aXb"]), ("a_", ["a_b"]), ("a%", ["a%b"]), ("b", [])]
)
async def test_open_items_are_found_by_the_letters_of_their_prefix(bench: Bench, prefix: str, found: list[str]) -> None:
    await bench.add("a%b", "a_b", "aXb", "a_done")
    await bench.add("a_b", project="p2")
    async with bench.database.write() as session:
        done = sa.update(WorkRow).where(WorkRow.key == "toil:p:a_done")
        await session.execute(done.values(state=State.SUCCEEDED))
    async with bench.database.read() as session:
        items = await bench.queue.open_items(session, Toil, project="p", key_prefix=prefix)
        few = await bench.queue.open_items(session, Toil, project="p", key_prefix=prefix, limit=1)
    assert sorted(item.key for item in items) == sorted(found) and len(few) == min(1, len(found))


# -- claiming


async def test_the_oldest_due_item_comes_first_and_each_goes_to_one_worker(bench: Bench) -> None:
    await bench.add("late", delay_s=1)
    await bench.add("first", "second")
    keys = [(await bench.claim(claims)).key for claims in (bench.one, bench.two)]
    assert keys == ["first", "second"] and await bench.one.next("toil") is None
    bench.pass_s(1)
    assert (await bench.claim()).key == "late"


async def test_projects_have_their_items_in_turn(bench: Bench) -> None:
    await bench.add("a", "b", "c", project="first")
    await bench.add("d", "e", project="second")
    await bench.add("f", project="third")
    keys = [(await bench.claim()).key for _ in range(6)]
    assert keys == ["a", "d", "f", "b", "e", "c"]


async def test_a_project_that_has_all_it_may_is_passed_over(bench: Bench) -> None:
    await bench.add("a", "b", project="first")
    await bench.add("c", project="second")
    claim = await bench.one.next("toil", ["first"])
    assert claim is not None and claim.key == "c"
    assert await bench.one.next("toil", ["first"]) is None
    assert (await bench.claim()).key == "a"


async def test_two_who_see_the_same_item_get_it_once(bench: Bench) -> None:
    await bench.add("a")
    got = await asyncio.gather(*(claims.next("toil") for claims in (bench.one, bench.two) * 4))
    assert len([claim for claim in got if claim is not None]) == 1


async def test_a_claim_carries_what_was_added_and_its_trace(bench: Bench) -> None:
    with span(None) as parent:
        await bench.add("a:b")
    claim = await bench.claim()
    assert (claim.key, claim.project, claim.attempt, claim.stored) == ("a:b", "p", 1, {"key": "a:b"})
    assert claim.traceparent == parent


async def test_a_silent_worker_loses_its_item_just_after_its_lease(bench: Bench) -> None:
    await bench.add("a")
    first = await bench.claim()
    bench.pass_s(LEASE_S)
    assert await bench.two.next("toil") is None
    bench.pass_s(0.001)
    second = await bench.claim(bench.two)
    assert second.attempt == 2
    with pytest.raises(LeaseLost):
        async with first.lease.step():
            raise AssertionError("a lost lease opens no transaction")
    with pytest.raises(LeaseLost):
        async with first.lease.finish():
            raise AssertionError("a lost lease opens no transaction")
    assert not first.lease.finished and (await bench.status()).state is State.RUNNING
    async with second.lease.finish():
        pass
    assert second.lease.finished and (await bench.status()).state is State.SUCCEEDED


async def test_an_effect_that_fails_leaves_the_item_unfinished(bench: Bench) -> None:
    await bench.add("a")
    claim = await bench.claim()
    with pytest.raises(ValueError, match="no room"):
        async with claim.lease.finish():
            raise ValueError("no room")
    assert not claim.lease.finished and (await bench.status()).state is State.RUNNING


async def test_progress_is_seen_after_a_step_and_its_message_ends_with_the_work(bench: Bench) -> None:
    await bench.add("a")
    claim = await bench.claim()
    await claim.lease.progress(3, 7, "reading")
    assert (await bench.status()).progress == Progress()
    async with claim.lease.step():
        pass
    assert (await bench.status()).progress == Progress(done=3, total=7, message="reading")
    async with claim.lease.finish():
        pass
    assert (await bench.status()).progress == Progress(done=3, total=7)


async def beats(lease: Lease, monkeypatch: pytest.MonkeyPatch, count: int) -> list[float]:
    """Let a lease beat so many times without waiting; the pauses that it wanted."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > count:
            raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr("capstan_servicekit.work.lease.asyncio.sleep", pause)
        with pytest.raises(asyncio.CancelledError):
            await lease.beat()
    return pauses


async def test_a_beat_keeps_the_lease_and_hears_of_a_cancellation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.add("a")
    claim = await bench.claim()
    bench.pass_s(LEASE_S - 1)
    assert await beats(claim.lease, monkeypatch, 1) == [LEASE_S / 4] * 2
    bench.pass_s(LEASE_S - 1)
    assert await bench.two.next("toil") is None and not claim.lease.over.is_set()
    assert await bench.cancel()
    await beats(claim.lease, monkeypatch, 1)
    assert claim.lease.cancelled and claim.lease.over.is_set() and not claim.lease.lost


async def test_a_beat_ends_with_the_lease(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.add("a")
    claim = await bench.claim()
    bench.pass_s(LEASE_S + 1)
    await bench.claim(bench.two)

    async def pause(_: float) -> None:
        return

    monkeypatch.setattr("capstan_servicekit.work.lease.asyncio.sleep", pause)
    await claim.lease.beat()
    assert claim.lease.lost and claim.lease.over.is_set()


async def test_a_beat_outlives_a_database_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.add("a")
    claim = await bench.claim()

    def away() -> None:
        raise NotReady("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(bench.database, "write", away)
        assert len(await beats(claim.lease, monkeypatch, 3)) == 4
    assert not claim.lease.lost


# -- cancelling


async def test_only_an_open_item_of_the_project_can_be_cancelled(bench: Bench) -> None:
    await bench.add("a")
    assert not await bench.cancel("b") and not await bench.cancel("a", "q")
    assert await bench.cancel("a")
    claim = await bench.claim()
    assert claim.lease.cancelled and claim.lease.over.is_set()  # it is told before it begins
    await bench.outcomes.ended(claim, bench.work, asyncio.CancelledError())
    assert (await bench.status()).state is State.CANCELLED and not await bench.cancel("a")
    assert bench.work.ended == [("a", "conflict")]


# -- outcomes


async def test_pauses_double_and_the_last_attempt_tells_the_problem(bench: Bench) -> None:
    await bench.add("a")
    for attempt, pause in ((1, 4), (2, 8)):
        claim = await bench.claim()
        assert claim.attempt == attempt
        await bench.outcomes.ended(claim, bench.work, Upstream("the other system failed"))
        assert (await bench.status()).state is State.QUEUED
        bench.pass_s(pause - 0.001)
        assert await bench.one.next("toil") is None
        bench.pass_s(0.001)
    await bench.outcomes.ended(await bench.claim(), bench.work, Upstream("the other system failed", hint="Ask it."))
    status = await bench.status()
    assert status.state is State.FAILED and status.problem is not None
    assert (status.problem.code, status.problem.detail, status.problem.hint) == (
        "upstream-unavailable", "the other system failed", "Ask it.",
    )  # fmt: skip
    assert bench.work.ended == [("a", "upstream-unavailable")]
    assert (bench.counted("retried"), bench.counted("failed"), bench.counted("succeeded")) == (2, 1, 0)


async def test_a_part_that_is_away_is_waited_for_with_pauses_of_half_a_minute_at_most(bench: Bench) -> None:
    await bench.add("a")
    for attempt in range(1, bench.work.max_attempts + AWAY_ATTEMPTS):
        claim = await bench.claim()
        assert claim.attempt == attempt
        await bench.outcomes.ended(claim, bench.work, NotReady("the bucket is away"))
        bench.pass_s(30)
    await bench.outcomes.ended(await bench.claim(), bench.work, NotReady("the bucket is away"))
    assert (await bench.status()).state is State.FAILED and bench.work.ended == [("a", "not-ready")]


@pytest.mark.parametrize("error", [BadRequest("no such column"), BadRequest("too slow", code=Code.DEADLINE)])
async def test_what_the_caller_has_to_mend_is_not_tried_again(bench: Bench, error: CapstanError) -> None:
    await bench.add("a")
    await bench.outcomes.ended(await bench.claim(), bench.work, error)
    assert (await bench.status()).state is State.FAILED and bench.work.ended == [("a", error.problem_code.value)]


@pytest.mark.parametrize("error", [RuntimeError("password=hunter2"), None])
async def test_an_unexpected_end_is_told_without_its_text(bench: Bench, error: Exception | None) -> None:
    await bench.add("a")
    for _ in range(bench.work.max_attempts):
        claim = await bench.claim()
        await bench.outcomes.ended(claim, bench.work, error)
        bench.pass_s(30)
    problem = (await bench.status()).problem
    assert problem is not None and problem.code == "internal" and problem.request_id == claim.id
    assert problem.detail == f"The work failed 3 times; the log has it under {claim.id}."


async def test_nothing_is_written_for_an_item_of_somebody_else(bench: Bench) -> None:
    await bench.add("a")
    first = await bench.claim()
    bench.pass_s(LEASE_S + 1)
    second = await bench.claim(bench.two)
    await bench.outcomes.ended(first, bench.work, BadRequest("mine failed"))
    await bench.outcomes.ended(first, bench.work, LeaseLost(first.id))
    await bench.outcomes.give_back(first)
    assert (await bench.status()).state is State.RUNNING and bench.work.ended == []
    async with second.lease.finish():
        pass
    await bench.outcomes.ended(second, bench.work, None)
    assert bench.counted("succeeded") == 1


async def test_a_given_back_item_is_due_at_once_and_no_attempt_was_made(bench: Bench) -> None:
    await bench.add("a")
    await bench.outcomes.give_back(await bench.claim())
    assert (await bench.claim(bench.two)).attempt == 1
