"""Model servers that report: what is kept of them, how they are flushed, and when one counts as lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from capstan_contracts.rest.inference import ServerOrders, ServerReport
from capstan_inference.actions import flush_servers as flush_module
from capstan_inference.actions import take_report as report_module
from capstan_inference.actions import watch_servers as watch_module
from capstan_inference.actions.flush_servers import FlushServers
from capstan_inference.actions.ports import Flushed, ReplicaStatus
from capstan_inference.actions.take_report import TakeReport
from capstan_inference.actions.watch_servers import WatchServers
from capstan_inference.tables import LOST, Base, DeploymentRow, ModelServerRow
from capstan_servicekit.clock import ManualClock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotReady

START = datetime(2026, 1, 1, tzinfo=UTC)
SILENT_S = 30.0


class Cluster:
    """What the cluster says of its pods."""

    def __init__(self) -> None:
        self.servers: set[str] | None = set()
        self.replica_status: dict[tuple[str, str], ReplicaStatus] = {}


class Watch:
    """Both of the module's clocks; they stand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class Control:
    """Reports, orders and watching on one database."""

    def __init__(self, database: Database) -> None:
        self.database, self.cluster, self.registry = database, Cluster(), CollectorRegistry()
        self.take, self.flush = TakeReport(database, ManualClock(START)), FlushServers(database)
        self.watch = WatchServers(database, self.cluster, self.take, self.registry, SILENT_S)  # type: ignore[arg-type]

    async def report(self, server: str, deployment: str = "m", project: str = "p", **fields: Any) -> ServerOrders:
        values = {"state": "serving", "revision": 1, "model_version": 1, "package": "a" * 64, "records": 0} | fields
        return await self.take(project, deployment, server, ServerReport.model_validate(values))

    async def rows(self) -> dict[str, ModelServerRow]:
        async with self.database.read() as session:
            return {row.server: row for row in (await session.scalars(select(ModelServerRow))).all()}

    async def states(self) -> dict[str, str]:
        return {server: row.state for server, row in (await self.rows()).items()}

    def figure(self, name: str, deployment: str = "m") -> float | None:
        labels = {"project": "p", "deployment": deployment}
        return self.registry.get_sample_value(f"capstan_inference_{name}", labels)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    for module in (flush_module, report_module, watch_module):
        monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(flush_module, "_LOOK_AGAIN_S", 0)
    return made


@pytest.fixture
async def control(watch: Watch, tmp_path: Path) -> AsyncIterator[Control]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'i.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield Control(database)
    await database.close()


# -- reports


async def test_a_report_is_kept_as_long_as_the_server_holds_something(control: Control) -> None:
    await control.report("one", records=3, state="starting")
    await control.report("one", records=5)
    row = (await control.rows())["one"]
    assert (row.state, row.records, row.deployment, row.since) == ("serving", 5, "m", START)
    await control.report("one", state="drained")
    assert await control.rows() == {} and control.take.heard == {}
    assert await control.report("one", state="drained") == ServerOrders()  # once more, and before any other


async def test_a_report_that_says_nothing_new_writes_nothing(
    control: Control, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    await control.report("one", records=3)
    watch.now += 1
    with monkeypatch.context() as patched:
        patched.setattr(control.database, "write", None)
        assert await control.report("one", records=3) == ServerOrders()
    assert control.take.heard == {("p", "one"): watch.now}


async def test_servers_of_one_name_in_two_projects_are_two(control: Control) -> None:
    await control.report("one", records=1)
    await control.report("one", project="q", state="drained")
    assert list(await control.rows()) == ["one"]


# -- flushing


async def flushing(control: Control, deployment: str | None = None) -> asyncio.Task[list[Flushed]]:
    """A flush whose orders have been given."""
    before = {server: row.flush_wanted for server, row in (await control.rows()).items()}
    task = asyncio.create_task(control.flush("p", deployment))
    while {server: row.flush_wanted for server, row in (await control.rows()).items()} == before:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return task


async def test_a_flush_waits_for_each_server_and_gives_the_segments(control: Control) -> None:
    for server, deployment in (("one", "m"), ("two", "m"), ("other", "n")):
        await control.report(server, deployment)
    task = await flushing(control, "m")
    assert [(await control.report(server)).flush for server in ("one", "two")] == [1, 1]
    assert (await control.report("other", "n")).flush == 0
    await control.report("one", flushed=1, flushed_segment="b" * 64, flushed_rows=7)
    assert not task.done()
    await control.report("two", flushed=1)  # it had nothing to ship
    assert await task == [Flushed("b" * 64, 7)]


async def test_a_server_that_drains_or_is_lost_meanwhile_is_not_waited_for(control: Control) -> None:
    for server in ("one", "two"):
        await control.report(server, records=1)
    task = await flushing(control)
    await control.report("one", state="drained")
    async with control.database.write() as session:
        (await session.get_one(ModelServerRow, ("p", "two"))).state = LOST
    assert await task == []


async def test_two_flushes_at_once_have_orders_of_their_own(control: Control) -> None:
    await control.report("one")
    first = await flushing(control)
    second = await flushing(control)
    assert (await control.report("one")).flush == 2
    await control.report("one", flushed=1, flushed_segment="b" * 64, flushed_rows=1)
    assert await first == [Flushed("b" * 64, 1)] and not second.done()
    await control.report("one", flushed=2, flushed_segment="c" * 64, flushed_rows=2)
    assert await second == [Flushed("c" * 64, 2)]


async def test_servers_that_stay_silent_are_named(control: Control) -> None:
    for number in range(5):
        await control.report(f"s{number}")
    with pytest.raises(NotReady, match="5 model servers did not ship their log within -1 s: s0, s1, s2$"):
        await control.flush("p", patience_s=-1)
    assert await control.flush("q", patience_s=-1) == []


@pytest.mark.parametrize(("records", "age_s", "asked"), [(1, 3600, True), (0, 9, True), (0, -9, True), (0, 11, False)])
async def test_servers_are_asked_for_a_prediction_that_one_of_them_may_hold(
    control: Control, watch: Watch, monkeypatch: pytest.MonkeyPatch, records: int, age_s: int, asked: bool
) -> None:
    monkeypatch.setattr(flush_module, "_PREDICTION_PATIENCE_S", -1)
    await control.report("one", records=records)
    assert await control.flush.for_prediction("p", int((watch.now - age_s) * 1000)) is asked
    assert (await control.report("one", records=records)).flush == int(asked)
    assert await control.flush.for_prediction("q", int(watch.now * 1000)) is False


# -- watching


async def test_only_a_silent_server_without_a_pod_is_lost_and_its_records_are_counted_once(
    control: Control, watch: Watch
) -> None:
    for server, records in (("silent", 4), ("empty", 0), ("slow", 2), ("heard", 3)):
        await control.report(server, records=records)
    control.cluster.servers = {"slow"}
    watch.now += SILENT_S
    await control.watch.count_lost()
    assert set((await control.states()).values()) == {"serving"}  # not longer than it may be
    watch.now += 0.1
    await control.report("heard", records=3)
    for _ in range(2):
        await control.watch.count_lost()
    assert await control.states() == {"silent": LOST, "slow": "serving", "heard": "serving"}
    assert control.figure("lost_records_total") == 4


async def test_a_restarted_control_waits_anew_before_it_gives_a_server_up(control: Control, watch: Watch) -> None:
    await control.report("one", records=1)
    control.take.heard.clear()
    watch.now += 10 * SILENT_S
    await control.watch.count_lost()
    assert await control.states() == {"one": "serving"}
    watch.now += SILENT_S + 0.1
    await control.watch.count_lost()
    assert await control.states() == {"one": LOST}
    await control.report("one", records=1)  # it was alive after all
    assert await control.states() == {"one": "serving"}


async def test_where_nothing_is_known_of_pods_nobody_is_given_up(control: Control, watch: Watch) -> None:
    await control.report("one", records=1)
    control.cluster.servers = None
    watch.now += 10 * SILENT_S
    await control.watch.count_lost()
    assert await control.states() == {"one": "serving"}


async def test_a_deployment_that_serves_with_too_few_servers_is_told_once_and_when_it_is_whole(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Log:
        def error(self, event: str, **about: object) -> None:
            told.append(f"{event} {about['message']}")

        def warning(self, event: str, **about: object) -> None:
            told.append(f"{event} {about['servers']}")

    monkeypatch.setattr(watch_module, "log", Log())
    control.cluster.replica_status = {("p", "m"): ReplicaStatus(1, 2, "no room"), ("p", "new"): ReplicaStatus(0, 2)}
    async with control.database.write() as session:
        for name, state in (("m", "serving"), ("new", "loading")):
            session.add(
                DeploymentRow(
                    project="p",
                    name=name,
                    loop=name,
                    model=name,
                    generation=1,
                    config={},
                    state=state,
                    revision=1,
                    message="",
                )  # fmt: skip
            )
    for _ in range(2):
        await control.watch.look()
    assert told == ["deployment.degraded 1 of 2 model servers can answer: no room"]
    assert (control.figure("model_servers_available"), control.figure("model_servers_wanted", "new")) == (1, 2)
    control.cluster.replica_status = {("p", "m"): ReplicaStatus(2, 2)}
    for _ in range(2):
        await control.watch.look()
    assert told[1:] == ["deployment.whole 2"]
