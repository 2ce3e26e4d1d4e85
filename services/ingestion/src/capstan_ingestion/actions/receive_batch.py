"""Take a file in: streamed to disk, kept under its sha256, and only then a batch that waits for its check."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from capstan_contracts.ids import uuid7
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_ingestion.actions.describe_batch import DescribeBatch
from capstan_ingestion.actions.start_check import StartCheck
from capstan_ingestion.domain.batch import BATCH
from capstan_ingestion.domain.files import Form
from capstan_ingestion.sources.port import SOURCES
from capstan_ingestion.tables import BatchRow, dataset_row, head_of, mark_replaced, spec_of
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import Conflict, InvalidData, NotFound, broken
from capstan_servicekit.objects.folder import stream_to_file
from capstan_servicekit.objects.port import ObjectStore


@dataclass(frozen=True)
class Upload:
    """Where a file belongs and what it calls itself. `replaces`: the digest of the batch that it corrects.

    `allow_duplicate`: another partition of the dataset may hold the same bytes.
    """

    project: str
    dataset: str
    partition: str
    filename: str
    form: Form
    replaces: str | None = None
    key: str | None = None
    allow_duplicate: bool = False


class ReceiveBatch:
    """The same bytes for the same partition are the same batch, however often they come."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        objects: ObjectStore,
        start_check: StartCheck,
        describe: DescribeBatch,
        incoming: Path,
    ) -> None:
        self._database, self._clock, self._objects = database, clock, objects
        self._start_check, self._describe, self._incoming = start_check, describe, incoming

    async def __call__(self, upload: Upload, chunks: AsyncIterator[bytes]) -> Batch:
        """Keep the bytes and record the batch. When the stream breaks off nothing remains."""
        async with self._database.read() as session:
            _check_source(spec_of(await dataset_row(session, upload.project, upload.dataset)))
            await _check_replaces(session, upload)
        digest, size = await self._keep(upload.project, chunks)
        if upload.replaces == digest:
            raise Conflict(
                "The corrected batch has the bytes of the one that it replaces",
                hint="To check the same bytes again use POST /batches/{batch}/replay.",
            )
        try:
            row = await self._record(upload, digest, size)
        except IntegrityError:
            # Somebody else recorded the same bytes at the same moment: now they are found.
            row = await self._record(upload, digest, size)
        async with self._database.read() as session:
            return await self._describe(session, row)

    async def _keep(self, project: str, chunks: AsyncIterator[bytes]) -> tuple[str, int]:
        await asyncio.to_thread(self._incoming.mkdir, parents=True, exist_ok=True)
        draft = self._incoming / uuid.uuid4().hex
        try:
            digest, size = await stream_to_file(chunks, draft)
            if size == 0:
                raise InvalidData(
                    "The body is empty", hint="Send the file as the request body.", errors=broken("body", "not empty")
                )
            stored = await self._objects.put_file(project, draft)
        finally:
            await asyncio.to_thread(draft.unlink, missing_ok=True)
        if stored != digest:
            raise OSError(f"the disk returned other bytes than were written: {stored[:12]}, not {digest[:12]}")
        return digest, size

    async def _record(self, upload: Upload, digest: str, size: int) -> BatchRow:
        parts = (upload.dataset, upload.partition, upload.filename, upload.replaces or "", digest)
        async with self._database.write() as session:
            request_print = fingerprint(*parts)
            before = await recall(session, upload.project, upload.key, request_print)
            if before is not None and (known := await session.get(BatchRow, before["id"])) is not None:
                return known
            row = await session.scalar(
                select(BatchRow).where(
                    BatchRow.project == upload.project,
                    BatchRow.dataset == upload.dataset,
                    BatchRow.partition == upload.partition,
                    BatchRow.digest == digest,
                )
            )
            if row is None:
                row = self._new(upload, digest, size)
                await self._start_check(session, row, allow_duplicate=upload.allow_duplicate)
            else:
                await self._again(session, row, upload)
            remember(session, upload.project, upload.key, request_print, {"id": row.id}, self._clock.now())
        return row

    def _new(self, upload: Upload, digest: str, size: int) -> BatchRow:
        return BatchRow(
            id=uuid7(),
            project=upload.project,
            dataset=upload.dataset,
            partition=upload.partition,
            digest=digest,
            filename=upload.filename,
            media=str(upload.form),
            bytes=size,
            attempt=0,
            failing_total=0,
            replaces=upload.replaces,
            received_at=self._clock.now(),
        )

    async def _again(self, session: WriteSession, row: BatchRow, upload: Upload) -> None:
        """The bytes are known: go on only if their partition holds others by now, or the last attempt broke down.

        Bytes that were set aside and come again under another form are read as that: the first name was the mistake.
        """
        if upload.replaces is not None:
            row.replaces = upload.replaces
        set_aside = row.state in (BatchState.QUARANTINED, BatchState.FAILED)
        if set_aside and row.media != str(upload.form):
            row.media, row.filename = str(upload.form), upload.filename
            await self._start_check(session, row, allow_duplicate=upload.allow_duplicate)
        elif row.state == BatchState.FAILED:
            await self._start_check(session, row, allow_duplicate=upload.allow_duplicate)
        elif row.state == BatchState.COMMITTED:
            dataset = await dataset_row(session, row.project, row.dataset)
            head = await head_of(session, dataset)
            here = (row.partition, row.digest)
            if head is None or not any((file.partition, file.batch) == here for file in head.files):
                await self._start_check(session, row, allow_duplicate=upload.allow_duplicate)
            elif row.replaces is not None:
                await mark_replaced(session, row)


def _check_source(spec: DatasetSpec) -> None:
    if not SOURCES.get(spec.source.kind).pushed:
        raise Conflict(
            f"Dataset {spec.name!r} takes its rows from its source, {spec.source.kind}",
            hint="Register the dataset with `source: upload` to send files.",
        )


async def _check_replaces(session: ReadSession, upload: Upload) -> None:
    if upload.replaces is None:
        return
    query = select(BatchRow.state).where(
        BatchRow.project == upload.project, BatchRow.dataset == upload.dataset, BatchRow.digest == upload.replaces
    )
    states = set((await session.scalars(query)).all())
    if not states:
        raise NotFound(f"Dataset {upload.dataset!r} has no batch {upload.replaces[:12]} to replace")
    if not states & {*BATCH.into(BatchState.REPLACED), BatchState.REPLACED}:
        raise Conflict(
            f"Batch {upload.replaces[:12]} is {states.pop()}; only a quarantined batch is replaced",
            hint="To correct committed rows send the new file for the same partition, without `replaces`.",
        )
