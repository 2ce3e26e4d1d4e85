"""When a view is materialized: once per version of its dataset, again when it was lost, not when it is overtaken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import func, select, update

from capstan_contracts.errors import Problem
from capstan_contracts.events import DatasetCommitted
from capstan_contracts.rest.feature_store import MaterializationRequest
from capstan_contracts.rest.ingestion import Manifest
from capstan_contracts.work import State
from capstan_feature_store.actions import request_materialization as request_module
from capstan_feature_store.actions.keep_online import KeepOnline
from capstan_feature_store.actions.materialize import Materialize
from capstan_feature_store.actions.ports import OnlineStore
from capstan_feature_store.actions.queue_materialization import ON_REQUEST, QueueMaterialization, work_of
from capstan_feature_store.actions.request_materialization import Materializations
from capstan_feature_store.tables import Base, DatasetVersionRow, MaterializationRow, ViewRow
from capstan_servicekit.clock import ManualClock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.db.tables import KitBase, WorkRow
from capstan_servicekit.errors import Conflict, NotFound
from capstan_servicekit.work.kinds import WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C, VIEW = "a" * 64, "b" * 64, "c" * 64, "f" * 64


class NoDatasets:
    """Ingestion, of which nothing may be asked; but a manifest, where a test gives its sequence."""

    def __init__(self) -> None:
        self.sequence: int | None = None

    async def latest(self, project: str, dataset: str) -> str:
        return A

    async def manifest(self, project: str, dataset: str, version: str) -> Manifest:
        assert self.sequence is not None, "an overtaken materialization asks for nothing"
        return Manifest(
            dataset=dataset, version=version, sequence=self.sequence, keys=["id"], event_time="at", columns={},
            files=[], rows=0, dvc_md5="", created_at=START,
        )  # fmt: skip


class Store:
    """An online store that has lost what a test says."""

    def __init__(self) -> None:
        self.lost: set[str] = set()

    async def holds(self, project: str, view: str, version: str) -> bool:
        return view not in self.lost


class Plan:
    """The actions on one database."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock, self.work = database, ManualClock(START), WorkQueue(ManualClock(START))
        self.datasets, self.store, self.queue = NoDatasets(), Store(), QueueMaterialization(self.work)
        self.asked = Materializations(database, self.work, self.queue, self.datasets, self.clock)  # type: ignore[arg-type]
        self.keep = KeepOnline(database, cast(OnlineStore, self.store), self.queue, self.clock)

    async def view(self, name: str = "v", **fields: Any) -> None:
        values: dict[str, Any] = {"current": True, "online_rows": 0, "version": VIEW, "dataset": "d"} | fields
        async with self.database.write() as session:
            session.add(ViewRow(project="p", name=name, loop="m", spec={}, registered_at=START, **values))

    async def commit(self, version: str, parent: str | None) -> None:
        event = DatasetCommitted(
            dataset="d", version=version, parent=parent, batch=A, partition="x", rows=1, total_rows=1
        )
        async with self.database.write() as session:
            await self.queue.for_dataset(session, "p", event, now=START)

    async def materialize(self, version: str, *, ordinal: int = ON_REQUEST) -> MaterializationRow:
        async with self.database.write() as session:
            view = await session.get_one(ViewRow, ("p", "v", VIEW))
            return await self.queue.for_view(session, view, version, ordinal=ordinal, now=START)

    async def set(self, state: State, row: MaterializationRow, **view: Any) -> None:
        async with self.database.write() as session:
            (await session.get_one(MaterializationRow, row.id)).state = state
            if view:
                await session.execute(update(ViewRow).where(ViewRow.name == row.view).values(**view))

    async def rows(self) -> list[MaterializationRow]:
        async with self.database.read() as session:
            query = select(MaterializationRow).order_by(MaterializationRow.id)
            return list((await session.scalars(query)).all())

    async def run(self, row: MaterializationRow) -> MaterializationRow:
        """Carry it out, as far as nothing has to be computed; the row afterwards."""
        nothing = cast(Any, None)
        action = Materialize(self.database, nothing, nothing, self.datasets, nothing, nothing, self.clock)  # type: ignore[arg-type]

        class Held:
            @asynccontextmanager
            async def finish(held) -> AsyncIterator[WriteSession]:
                async with self.database.write() as session:
                    yield session

        item = WorkItem(row.id, "k", "p", 1, work_of(row))
        await action.run(item, cast(Lease, Held()))
        async with self.database.read() as session:
            return await session.get_one(MaterializationRow, row.id)


@pytest.fixture
async def plan(tmp_path: Path) -> AsyncIterator[Plan]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'f.db'}")
    async with database.engine.begin() as connection:
        for base in (KitBase, Base):
            await connection.run_sync(base.metadata.create_all)
    yield Plan(database)
    await database.close()


async def test_a_commit_queues_each_current_view_of_its_dataset_once(plan: Plan) -> None:
    for name, fields in (("v", {}), ("w", {"version": "e" * 64}), ("old", {"current": False}), ("x", {"dataset": "e"})):
        await plan.view(name, **fields)
    for _ in range(2):
        await plan.commit(A, None)
    assert [(row.view, row.dataset_version, row.attempt) for row in await plan.rows()] == [("v", A, 1), ("w", A, 1)]
    async with plan.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(WorkRow)) == 2
        assert await session.scalar(select(func.count()).select_from(DatasetVersionRow)) == 1


async def test_a_version_that_is_open_or_online_is_not_done_again_and_one_that_is_neither_is(plan: Plan) -> None:
    await plan.view()
    first = await plan.materialize(A)
    assert (await plan.materialize(A)).id == first.id
    await plan.set(State.RUNNING, first)
    assert (await plan.materialize(A)).id == first.id
    await plan.set(State.SUCCEEDED, first, online_dataset_version=A)
    assert (await plan.materialize(A)).id == first.id
    await plan.set(State.SUCCEEDED, first, online_dataset_version=B)  # another version is online by now
    second = await plan.materialize(A)
    assert (second.id != first.id, second.attempt) == (True, 2)
    await plan.set(State.FAILED, second)
    assert (await plan.materialize(A)).attempt == 3
    async with plan.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(WorkRow)) == 3


async def test_a_version_that_a_later_one_follows_is_skipped_unless_somebody_asked_for_it(plan: Plan) -> None:
    await plan.view()
    await plan.commit(A, None)
    await plan.commit(B, A)
    first, second = await plan.rows()
    skipped = await plan.run(first)
    assert (skipped.state, skipped.note) == ("succeeded", f"skipped: version {B[:12]} of dataset 'd' follows it")
    assert (await plan.rows())[1].state == "queued"
    await plan.set(State.FAILED, second)  # a later one that failed overtakes nothing
    asked = await plan.materialize(A)
    plan.datasets.sequence = 1
    await plan.set(State.QUEUED, asked, online_sequence=2, online_dataset_version=C)
    assert (await plan.run(asked)).note == f"skipped: the online store holds version {C[:12]}, which is newer"


async def test_a_view_that_was_redefined_is_skipped(plan: Plan) -> None:
    await plan.view()
    row = await plan.materialize(A)
    await plan.set(State.QUEUED, row, current=False)
    assert "no longer in force" in (await plan.run(row)).note


async def test_a_failure_is_told_with_its_problem(plan: Plan) -> None:
    await plan.view()
    row = await plan.materialize(A)
    action = Materialize(*[cast(Any, None)] * 7)
    problem = Problem(title="t", status=400, code="invalid-data", detail="the file is empty")
    async with plan.database.write() as session:
        await action.failed(session, WorkItem(row.id, "k", "p", 1, work_of(row)), problem)
    told = await plan.asked.get("p", row.id)
    assert (told.state, told.problem) == (State.FAILED, problem)


# -- asking


async def test_a_key_gives_the_same_one_and_what_is_of_another_project_is_not_there(plan: Plan) -> None:
    await plan.view()
    plan.datasets.sequence = 1
    asked = MaterializationRequest(view="v")
    first = await plan.asked.request("p", asked, "k")
    await plan.set(State.FAILED, (await plan.rows())[0])
    assert (await plan.asked.request("p", asked, "k")).id == first.id
    assert (await plan.asked.request("p", asked, None)).id != first.id
    with pytest.raises(Conflict):
        await plan.asked.request("p", MaterializationRequest(view="v", dataset_version=B), "k")
    with pytest.raises(NotFound, match="in project 'q'"):
        await plan.asked.get("q", first.id)
    with pytest.raises(NotFound):
        await plan.asked.request("p", MaterializationRequest(view="none"), None)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
async def test_pages_have_each_once_newest_first_and_the_last_has_no_next(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(request_module, "PAGE", 2)
    await plan.view()
    made = [(await plan.materialize(f"{number:064x}")).id for number in range(count)]
    seen: list[str] = []
    after: str | None = None
    for _ in range(5):
        page = await plan.asked.list("p", view="v", after=after)
        seen += [item.id for item in page.items]
        if (after := page.next) is None:
            break
    assert after is None and seen == sorted(made, reverse=True)
    assert (await plan.asked.list("p", view="other", after=None)).items == []
    assert (await plan.asked.list("q", view=None, after=None)).items == []


# -- keeping


async def test_a_lost_view_is_materialized_again_once_and_is_not_online_until_then(plan: Plan) -> None:
    await plan.view("v", online_dataset_version=A, online_sequence=3, online_watermark=START + timedelta(1))
    await plan.view("w", online_dataset_version=A, online_sequence=3)
    await plan.view("never")
    await plan.view("old", online_dataset_version=A, current=False)
    plan.store.lost = {"v", "never", "old"}
    assert [await plan.keep.once() for _ in range(2)] == [1, 0]
    assert [(row.view, row.dataset_version, row.ordinal) for row in await plan.rows()] == [("v", A, ON_REQUEST)]
    async with plan.database.read() as session:
        view = await session.get_one(ViewRow, ("p", "v", VIEW))
    assert (view.online_dataset_version, view.online_sequence, view.online_watermark) == (None, None, None)
