"""Make a dataset version of the parent's unchanged files and a new one, or find that nothing changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import CursorResult, func, select, update

from capstan_contracts.events import DatasetCommitted
from capstan_contracts.ids import Urn, short
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import BatchState, Manifest, ManifestFile
from capstan_ingestion.actions.compare_keys import CompareKeys
from capstan_ingestion.actions.fetch_files import fetch_files
from capstan_ingestion.actions.ports import Checked, VersionStore
from capstan_ingestion.actions.widen_files import WidenFiles
from capstan_ingestion.domain.batch import BATCH
from capstan_ingestion.domain.columns import required_columns
from capstan_ingestion.domain.contract import read_contract
from capstan_ingestion.domain.jobs import PlacedFiles
from capstan_ingestion.domain.schema import joined
from capstan_ingestion.domain.versions import earlier_columns, identity, other_files, path_in_dataset, version_of
from capstan_ingestion.tables import BatchRow, DatasetRow, VersionRow, dataset_row, head_of, mark_replaced
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.lease import Lease

_ATTEMPTS = 20


class HeadMoved(Exception):
    """Another batch of the dataset was committed in between: build upon it."""


class SchemaMoved(Exception):
    """Another batch gave the dataset a schema under which this one was not checked: check it again."""


@dataclass(frozen=True)
class Commit:
    """A batch that passed: its check, and where its canonical file and failing rows lie in the object store."""

    batch: BatchRow
    spec: DatasetSpec
    needed: list[str]
    checked: Checked
    sha256: str
    failing_rows: str | None


class CommitBatch:
    """Commits of one dataset form a chain: the guard is the parent that a version was built upon."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        outbox: Outbox,
        objects: ObjectStore,
        store: VersionStore,
        widen_files: WidenFiles,
        compare_keys: CompareKeys,
    ) -> None:
        self._database, self._clock, self._outbox, self._objects = database, clock, outbox, objects
        self._store, self._widen_files, self._compare_keys = store, widen_files, compare_keys

    async def __call__(self, lease: Lease, commit: Commit, folder: Path) -> Manifest:
        """Place the files, then move the dataset's head in the transaction that ends the work.

        KeysRepeated; InvalidData where a file cannot take a type that is declared by now.
        """
        batch, checked = commit.batch, commit.checked
        required = required_columns(commit.spec, read_contract(commit.spec.contract), commit.needed)
        source = await self._objects.local_path(batch.project, commit.sha256)
        apart: frozenset[str] = frozenset()
        for _ in range(_ATTEMPTS):
            head = await self._head(batch)
            earlier = earlier_columns(head, batch.partition)
            columns = joined(earlier, checked.columns, optional=lambda name: name not in required)
            if columns is None:
                raise SchemaMoved(f"the columns of {batch.dataset} changed during the check")
            others = other_files(head, batch.partition, commit.spec.event_time)
            others = await self._widen_files(batch.project, batch.dataset, others, earlier, columns, folder)
            compared = await self._compare_keys(
                batch.project, commit.spec, checked, source, others, folder, apart=apart
            )
            apart |= compared.apart
            commit = replace(commit, checked=replace(compared.checked, columns=columns))
            placed = await self._place(commit, source, head, compared.others, folder)
            manifest, content = self._manifest(commit, placed, head, compared.others, source.stat().st_size)
            await self._objects.put_bytes(commit.batch.project, content)
            try:
                async with lease.finish() as session:
                    return await self._apply(session, commit, manifest, head)
            except HeadMoved:
                continue
        raise HeadMoved(f"{commit.batch.dataset} moved on {_ATTEMPTS} times in a row")

    async def _place(
        self, commit: Commit, source: Path, head: Manifest | None, others: list[ManifestFile], folder: Path
    ) -> PlacedFiles:
        """The batch's file and those of other partitions that were written again are new, the others are kept."""
        project = commit.batch.project
        before = {(file.partition, file.sha256) for file in (head.files if head else [])}
        kept = [file for file in others if (file.partition, file.sha256) in before]
        rewritten = [file for file in others if (file.partition, file.sha256) not in before]
        paths = await fetch_files(self._objects, project, commit.batch.dataset, rewritten)
        new = {file.path: paths[file.partition] for file in rewritten}
        new[path_in_dataset(commit.batch.partition)] = source
        return await self._store.place(project, new=new, kept=kept, folder=folder)

    async def _head(self, batch: BatchRow) -> Manifest | None:
        async with self._database.read() as session:
            return await head_of(session, await dataset_row(session, batch.project, batch.dataset))

    def _manifest(
        self, commit: Commit, placed: PlacedFiles, head: Manifest | None, others: list[ManifestFile], size: int
    ) -> tuple[Manifest, bytes]:
        batch, checked, spec = commit.batch, commit.checked, commit.spec
        path = path_in_dataset(batch.partition)
        new = ManifestFile(
            partition=batch.partition,
            batch=batch.digest,
            path=path,
            md5=placed.md5s[path],
            sha256=commit.sha256,
            bytes=size,
            rows=checked.verdict.rows,
            event_time_min=checked.event_time_min,
            event_time_max=checked.event_time_max,
            source=batch.filename,
        )
        kept = [file.model_copy(update={"md5": placed.md5s.get(file.path, file.md5)}) for file in others]
        files = sorted([*kept, new], key=lambda file: file.partition)
        content = identity(spec, checked.columns, files)
        manifest = Manifest(
            dataset=batch.dataset,
            version=version_of(content),
            parent=head.version if head else None,
            sequence=0,
            keys=spec.keys,
            event_time=spec.event_time,
            columns=checked.columns,
            files=files,
            rows=sum(file.rows for file in files),
            dvc_md5=placed.dvc_md5,
            created_at=self._clock.now(),
        )
        return manifest, content

    async def _apply(
        self, session: WriteSession, commit: Commit, manifest: Manifest, head: Manifest | None
    ) -> Manifest:
        batch = commit.batch
        await self._move_head(session, batch, manifest, head)
        if head is None or manifest.version != head.version:
            manifest = await self._version(session, batch, manifest)
            self._tell(session, commit, manifest, head)
        row = await session.get_one(BatchRow, batch.id)
        row.state = BATCH.move(row.state, BatchState.COMMITTED)
        row.version, row.finished_at = manifest.version, self._clock.now()
        row.verdict, row.rows = commit.checked.verdict, commit.checked.verdict.rows
        row.failing_rows, row.failing_total = commit.failing_rows, commit.checked.failing_total
        if row.replaces is not None:
            await mark_replaced(session, row)
        return manifest

    async def _move_head(
        self, session: WriteSession, batch: BatchRow, manifest: Manifest, head: Manifest | None
    ) -> None:
        built_upon = DatasetRow.latest.is_(None) if head is None else DatasetRow.latest == head.version
        result = await session.execute(
            update(DatasetRow)
            .where(DatasetRow.project == batch.project, DatasetRow.name == batch.dataset, built_upon)
            .values(latest=manifest.version)
        )
        if not isinstance(result, CursorResult) or result.rowcount != 1:
            raise HeadMoved(batch.dataset)

    async def _version(self, session: WriteSession, batch: BatchRow, manifest: Manifest) -> Manifest:
        """The row of this version: the one that is there when the content was a version before."""
        known = await session.get(VersionRow, (batch.project, batch.dataset, manifest.version))
        if known is not None:
            return known.manifest
        of_dataset = (VersionRow.project == batch.project, VersionRow.dataset == batch.dataset)
        last = await session.scalar(select(func.max(VersionRow.sequence)).where(*of_dataset))
        manifest = manifest.model_copy(update={"sequence": (last or 0) + 1})
        session.add(
            VersionRow(
                project=batch.project,
                dataset=batch.dataset,
                version=manifest.version,
                sequence=manifest.sequence,
                manifest=manifest,
                created_at=manifest.created_at,
            )
        )
        return manifest

    def _tell(self, session: WriteSession, commit: Commit, manifest: Manifest, head: Manifest | None) -> None:
        batch, checked = commit.batch, commit.checked
        event = DatasetCommitted(
            dataset=batch.dataset,
            version=manifest.version,
            parent=head.version if head else None,
            batch=batch.digest,
            partition=batch.partition,
            rows=checked.verdict.rows,
            total_rows=manifest.rows,
            event_time_min=checked.event_time_min,
            event_time_max=checked.event_time_max,
            warnings=[
                check.key
                for check in checked.verdict.checks
                if check.outcome != "passed" and check.severity == "warning"
            ],
        )
        subject = Urn(batch.project, "dataset", batch.dataset, short(manifest.version))
        self._outbox.add(session, event, project=batch.project, subject=subject)
