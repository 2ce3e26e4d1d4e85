"""Payloads keep their types through the database, and what is not of a kind's shape is named."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from capstan_contracts.errors import Problem
from capstan_servicekit.clock import SystemClock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import KitBase, WorkRow
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.work.kinds import Work, WorkItem, kinds_of
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.loop import WorkLoop
from capstan_servicekit.work.payloads import PayloadError, decode, encode
from capstan_servicekit.work.queue import WorkQueue
from capstan_testkit.toy_work import Toil, TwoAttempts


@dataclass(frozen=True)
class Window:
    KIND: ClassVar[str] = "judge"
    loop: str
    start: datetime
    version: int
    dataset: str | None = None

    @property
    def key(self) -> str:
        return f"{self.loop}:{self.version}"


WINDOW = Window("flights", datetime(2013, 2, 1, 0, 0, 0, 7, tzinfo=UTC), 3)


def test_a_payload_comes_back_equal_and_with_its_types() -> None:
    stored = encode(WINDOW)
    assert stored["start"] == "2013-02-01T00:00:00.000007Z"
    assert decode(Window, stored) == WINDOW


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"version": "3"}, "version of Window"),
        ({"version": True}, "version of Window"),
        ({"start": 12}, "start of Window"),
        ({"loop": None}, "loop of Window"),
        ({"extra": 1}, "extra is no field of Window"),
    ],
)
def test_a_stored_payload_of_another_shape_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(PayloadError, match=named):
        decode(Window, encode(WINDOW) | change)


def test_a_missing_field_is_named() -> None:
    stored = encode(WINDOW)
    del stored["version"]
    with pytest.raises(PayloadError, match="version of Window"):
        decode(Window, stored)


def test_a_payload_with_a_value_of_a_wrong_type_is_not_even_added() -> None:
    wrong: Any = "three"
    with pytest.raises(PayloadError, match="'judge'"):
        encode(Window("flights", WINDOW.start, wrong))


def test_two_works_of_one_kind_are_a_mistake() -> None:
    async def run(item: WorkItem[Toil], lease: Lease) -> None:
        raise NotImplementedError

    with pytest.raises(TypeError, match="both do the work 'toil'"):
        kinds_of((TwoAttempts(run), TwoAttempts(run)))


class Judge(Work[Window]):
    Payload = Window
    max_attempts = 2
    backoff_s = 0.01

    def __init__(self) -> None:
        self.seen: list[Window] = []

    async def run(self, item: WorkItem[Window], lease: Lease) -> None:
        self.seen.append(item.payload)
        async with lease.finish():
            pass

    async def failed(self, session: WriteSession, item: WorkItem[Window], problem: Problem) -> None:
        raise AssertionError("there is no item that it could be told of")


async def test_the_work_gets_the_very_payload_that_was_added_and_never_one_that_is_none(tmp_path: Path) -> None:
    database, clock, judge = Database(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}"), SystemClock(), Judge()
    async with database.engine.begin() as connection:
        await connection.run_sync(KitBase.metadata.create_all)
    queue = WorkQueue(clock)
    async with database.write() as session:
        await queue.add(session, WINDOW, project="p")
        await queue.add(session, Window("flights", WINDOW.start, 4), project="p")
        await queue.add(session, Window("planes", WINDOW.start, 1), project="p", delay_s=60)
        spoilt = WorkRow.key == "judge:p:flights:4"
        await session.execute(sa.update(WorkRow).where(spoilt).values(payload={"version": 4}))
    async with database.read() as session:
        planes = await queue.open_items(session, Window, project="p", key_prefix="planes:")
    assert [window.loop for window in planes] == ["planes"]
    running = asyncio.create_task(WorkLoop(database, [judge], clock, Metrics("toy")).run())
    states = sa.select(WorkRow.state).where(WorkRow.key.startswith("judge:p:flights")).order_by(WorkRow.key)
    async with asyncio.timeout(10):
        while True:
            async with database.read() as session:
                if list((await session.scalars(states)).all()) == ["succeeded", "failed"]:
                    break
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert judge.seen == [WINDOW]
    await database.close()
