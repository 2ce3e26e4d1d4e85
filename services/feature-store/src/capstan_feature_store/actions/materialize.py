"""Carry out a materialization: load, run the job outside any transaction, apply with the event in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select, update

from capstan_contracts.errors import Problem
from capstan_contracts.events import FeaturesMaterialized
from capstan_contracts.ids import Urn, short
from capstan_contracts.loop import ViewSpec
from capstan_contracts.rest.ingestion import Manifest
from capstan_contracts.work import State
from capstan_feature_store.actions.ports import Datasets, JobLimits, OnlineStore
from capstan_feature_store.domain.jobs import ViewToWrite, WrittenView
from capstan_feature_store.domain.plans import view_plan
from capstan_feature_store.domain.work import ViewToMaterialize
from capstan_feature_store.tables import DatasetVersionRow, MaterializationRow, ViewRow
from capstan_formats.epoch import datetime_of, us_of
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

MATERIALIZE = JobKind("platform", "capstan_feature_store.jobs.materialize:run", ViewToWrite, WrittenView)


@dataclass(frozen=True)
class Materialize(Work[ViewToMaterialize]):
    """Writes outside of any transaction what only its end makes visible."""

    Payload = ViewToMaterialize

    database: Database
    jobs: JobPool
    outbox: Outbox
    datasets: Datasets
    limits: JobLimits
    store: OnlineStore
    clock: Clock

    async def run(self, item: WorkItem[ViewToMaterialize], lease: Lease) -> None:
        """Do one item; what is superseded ends as succeeded and says so."""
        async with self.database.read() as session:
            row, view = await _load(session, item)
            reason = await _superseded(session, row, view)
        manifest: Manifest | None = None
        if reason is None:
            manifest = await self.datasets.manifest(row.project, row.dataset, row.dataset_version)
            if view.online_sequence is not None and manifest.sequence < view.online_sequence:
                reason = f"the online store holds version {short(view.online_dataset_version or '')}, which is newer"
        if reason is not None or manifest is None:
            async with lease.finish() as session:
                row, _ = await _load(session, item)
                row.state, row.note = State.SUCCEEDED, f"skipped: {reason}"
            return
        written = await self._run(row, view, manifest, lease)
        async with lease.finish() as session:
            row, view = await _load(session, item)
            if written.newer:
                row.state, row.note = State.SUCCEEDED, f"skipped: {written.newer}"
                return
            await self._apply(session, row, view, manifest, written)

    async def _run(self, row: MaterializationRow, view: ViewRow, manifest: Manifest, lease: Lease) -> WrittenView:
        files = await self.datasets.files(row.project, manifest)
        async with self.jobs.scratch() as scratch:
            folder = self.store.workplace(row.project, scratch)
            given = ViewToWrite(
                view=view_plan(ViewSpec.model_validate(view.spec)),
                files=[str(file) for file in files],
                sequence=manifest.sequence,
                now_us=us_of(self.clock.now()),
                older_rows=self.limits.older_rows,
                folder=str(folder),
                memory_mb=self.limits.memory_mb,
                threads=self.limits.threads,
            )
            written = await self.jobs.call(
                MATERIALIZE,
                given,
                project=row.project,
                scratch=scratch,
                readable=files,
                writable=[folder],
                timeout_s=self.limits.timeout_s,
                progress=lease.progress,
            )
            await self.datasets.files(row.project, manifest)  # nothing goes online of bytes that changed meanwhile
            loaded = None if written.newer else await self.store.take_in(row.project, view.name, folder)
        return written if loaded is None else replace(written, rows=loaded.rows, newer=loaded.newer)

    async def _apply(
        self, session: WriteSession, row: MaterializationRow, view: ViewRow, manifest: Manifest, written: WrittenView
    ) -> None:
        first, last, watermark = (
            None if moment is None else datetime_of(moment)
            for moment in (written.event_min, written.event_max, written.watermark)
        )
        row.state, row.rows, row.watermark = State.SUCCEEDED, written.rows, watermark
        if written.unusable:
            row.note = f"{written.unusable} rows without key, event time or created time were left out"
        others = (ViewRow.project == view.project, ViewRow.name == view.name, ViewRow.version != view.version)
        await session.execute(
            update(ViewRow)
            .where(*others)
            .values(online_dataset_version=None, online_sequence=None, online_rows=0, online_watermark=None)
        )
        view.online_dataset_version, view.online_sequence = manifest.version, manifest.sequence
        view.online_rows, view.online_watermark = written.rows, watermark
        event = FeaturesMaterialized(
            view=view.name,
            view_version=view.version,
            dataset=row.dataset,
            dataset_version=manifest.version,
            event_time_min=first,
            event_time_max=last,
            rows=written.rows,
            online_watermark=watermark,
        )
        self.outbox.add(
            session, event, project=row.project, subject=Urn(row.project, "view", view.name, short(view.version))
        )

    async def failed(self, session: WriteSession, item: WorkItem[ViewToMaterialize], problem: Problem) -> None:
        """Write the failure into the resource."""
        row = await session.get(MaterializationRow, item.payload.id)
        if row is not None:
            row.state, row.problem = State.FAILED, problem.model_dump(mode="json")


async def _load(session: ReadSession, item: WorkItem[ViewToMaterialize]) -> tuple[MaterializationRow, ViewRow]:
    row = await session.get_one(MaterializationRow, item.payload.id)
    return row, await session.get_one(ViewRow, (row.project, row.view, row.view_version))


async def _superseded(session: ReadSession, row: MaterializationRow, view: ViewRow) -> str | None:
    """Why the item need not be done: the view was redefined, or a later version of its dataset is queued or online."""
    if not view.current:
        return "this definition of the view is no longer in force"
    if row.ordinal < 0:
        return None
    later = (
        select(DatasetVersionRow.version)
        .join(
            MaterializationRow,
            (MaterializationRow.dataset_version == DatasetVersionRow.version)
            & (MaterializationRow.project == DatasetVersionRow.project)
            & (MaterializationRow.view == row.view)
            & (MaterializationRow.view_version == row.view_version)
            & MaterializationRow.state.in_((State.QUEUED, State.SUCCEEDED)),
        )
        .where(
            DatasetVersionRow.project == row.project,
            DatasetVersionRow.dataset == row.dataset,
            DatasetVersionRow.parent == row.dataset_version,
            DatasetVersionRow.ordinal > row.ordinal,
        )
    )
    version = await session.scalar(later.limit(1))
    return None if version is None else f"version {short(version)} of dataset {row.dataset!r} follows it"
