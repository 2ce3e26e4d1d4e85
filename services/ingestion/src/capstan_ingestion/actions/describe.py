"""Rows as callers see them."""

from __future__ import annotations

from capstan_contracts.errors import Problem
from capstan_contracts.rest.ingestion import Batch, BatchState, Dataset, Verdict
from capstan_contracts.work import Progress
from capstan_ingestion.domain.batch import OPEN
from capstan_ingestion.domain.work import BatchToCheck
from capstan_ingestion.tables import BatchRow, DatasetRow, head_of, spec_of
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.work.queue import WorkQueue


async def describe_dataset(session: ReadSession, row: DatasetRow) -> Dataset:
    """A dataset with the figures of its newest version."""
    head = await head_of(session, row)
    return Dataset(
        name=row.name,
        spec=spec_of(row),
        latest=row.latest,
        rows=head.rows if head else 0,
        partitions=len(head.files) if head else 0,
    )


async def describe_batch(session: ReadSession, work: WorkQueue, row: BatchRow) -> Batch:
    """A batch; while its check is open, with the progress of it."""
    progress = Progress()
    if row.state in OPEN:
        status = await work.status(session, BatchToCheck(row.id, row.attempt), project=row.project)
        progress = status.progress if status else progress
    return Batch(
        id=row.digest,
        dataset=row.dataset,
        partition=row.partition,
        filename=row.filename,
        media=row.media,
        bytes=row.bytes,
        state=BatchState(row.state),
        progress=progress,
        rows=row.rows,
        verdict=Verdict.model_validate(row.verdict) if row.verdict else None,
        version=row.version,
        replaces=row.replaces,
        problem=Problem.model_validate(row.problem) if row.problem else None,
        received_at=row.received_at,
        finished_at=row.finished_at,
    )
