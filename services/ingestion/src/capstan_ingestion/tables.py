"""Rows of ingestion: datasets, batches, versions, scrubs and loops; and the queries of several actions.

What another project has is not found.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, MetaData, String, UniqueConstraint, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_contracts.documents import JsonObject
from capstan_contracts.errors import Problem
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import BatchState, Manifest, Verdict
from capstan_ingestion.domain.batch import BATCH
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.db.tables import NAMING, InstantColumn, Json, ModelColumn
from capstan_servicekit.errors import Conflict, NotFound


class Base(DeclarativeBase):
    """The tables of this service."""

    metadata = MetaData(naming_convention=NAMING)


class DatasetRow(Base):
    """A dataset; `latest` is the version that the next commit builds upon."""

    __tablename__ = "datasets"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    spec: Mapped[JsonObject] = mapped_column(Json)
    latest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(InstantColumn)
    updated_at: Mapped[datetime] = mapped_column(InstantColumn)


class BatchRow(Base):
    """A file that arrived for a partition of a dataset. `attempt` counts its checks."""

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("project", "dataset", "partition", "digest", name="uq_batches_place"),
        Index("ix_batches_digest", "project", "digest"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    dataset: Mapped[str] = mapped_column(String(63))
    partition: Mapped[str] = mapped_column(String(63))
    digest: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(String(255))
    media: Mapped[str] = mapped_column(String(80))
    bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    verdict: Mapped[Verdict | None] = mapped_column(ModelColumn(Verdict))
    failing_rows: Mapped[str | None] = mapped_column(String(64))
    failing_total: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[str | None] = mapped_column(String(64))
    replaces: Mapped[str | None] = mapped_column(String(64))
    problem: Mapped[Problem | None] = mapped_column(ModelColumn(Problem))
    received_at: Mapped[datetime] = mapped_column(InstantColumn)
    finished_at: Mapped[datetime | None] = mapped_column(InstantColumn)


class VersionRow(Base):
    """A dataset version: immutable."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("project", "dataset", "sequence", name="uq_versions_sequence"),)

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer)
    manifest: Mapped[Manifest] = mapped_column(ModelColumn(Manifest))
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


class ScrubRow(Base):
    """A walk over the objects of `dataset`, or of all datasets of the project."""

    __tablename__ = "scrubs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project: Mapped[str] = mapped_column(String(63), index=True)
    dataset: Mapped[str | None] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(16))
    objects: Mapped[int] = mapped_column(BigInteger)
    damaged: Mapped[int] = mapped_column(BigInteger)
    gone: Mapped[int] = mapped_column(BigInteger)
    findings: Mapped[list[JsonObject]] = mapped_column(Json)
    problem: Mapped[Problem | None] = mapped_column(ModelColumn(Problem))
    created_at: Mapped[datetime] = mapped_column(InstantColumn)
    finished_at: Mapped[datetime | None] = mapped_column(InstantColumn)


class LoopRow(Base):
    """The last part that was handed over for a loop. `reads`: columns of its `dataset` that the loop itself needs."""

    __tablename__ = "loops"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    dataset: Mapped[str | None] = mapped_column(String(63))
    reads: Mapped[list[str] | None] = mapped_column(Json)
    updated_at: Mapped[datetime] = mapped_column(InstantColumn)


async def dataset_row(session: ReadSession, project: str, name: str) -> DatasetRow:
    """The dataset; NotFound."""
    row = await session.get(DatasetRow, (project, name))
    if row is None:
        raise NotFound(
            f"There is no dataset {name!r} in project {project!r}",
            hint="Register it with PUT /datasets/{dataset}, or apply a loop that names it.",
        )
    return row


def spec_of(row: DatasetRow) -> DatasetSpec:
    """The dataset as it was registered."""
    return DatasetSpec.model_validate(row.spec)


async def head_of(session: ReadSession, row: DatasetRow) -> Manifest | None:
    """The manifest of the newest version; None before the first commit."""
    if row.latest is None:
        return None
    version = await session.get(VersionRow, (row.project, row.name, row.latest))
    return None if version is None else version.manifest


async def columns_read(session: ReadSession, row: DatasetRow) -> list[str]:
    """The columns of a dataset that loops learn from or are asked by, sorted."""
    query = select(LoopRow.reads).where(LoopRow.project == row.project, LoopRow.dataset == row.name)
    return sorted({name for names in await session.scalars(query) for name in names or ()})


async def batch_row(session: ReadSession, project: str, digest: str, *, alone: bool = False) -> BatchRow:
    """The batch with this digest (12 or more of its characters); NotFound.

    The same bytes may have been sent to several places; the newest is meant. `alone`: Conflict where there are more.
    """
    query = select(BatchRow).where(BatchRow.project == project, BatchRow.digest.startswith(digest))
    rows = list((await session.scalars(query.order_by(BatchRow.id.desc()).limit(100))).all())
    if not rows:
        raise NotFound(f"There is no batch {digest[:12]} in project {project!r}")
    if len({row.digest for row in rows}) > 1:
        raise NotFound(f"{digest} begins the names of several batches", hint="Give more characters.")
    if alone and len(rows) > 1:
        places = ", ".join(f"{row.dataset}/{row.partition}" for row in rows)
        raise Conflict(
            f"Batch {digest[:12]} was sent to several places: {places}", hint="Send the file to the one you mean."
        )
    return rows[0]


async def version_row(session: ReadSession, project: str, dataset: str, version: str) -> VersionRow:
    """The version with this name (12 or more of its characters); NotFound."""
    await dataset_row(session, project, dataset)
    query = select(VersionRow).where(
        VersionRow.project == project, VersionRow.dataset == dataset, VersionRow.version.startswith(version)
    )
    rows = list((await session.scalars(query.limit(2))).all())
    if not rows:
        raise NotFound(f"Dataset {dataset!r} has no version {version[:12]}")
    if len(rows) > 1:
        raise NotFound(f"{version} begins the names of several versions of {dataset!r}", hint="Give more characters.")
    return rows[0]


async def mark_replaced(session: WriteSession, row: BatchRow) -> None:
    """The batch that `row` corrects is out of quarantine: `row` has taken its place."""
    await session.execute(
        update(BatchRow)
        .where(
            BatchRow.project == row.project,
            BatchRow.dataset == row.dataset,
            BatchRow.digest == row.replaces,
            BatchRow.state.in_(BATCH.into(BatchState.REPLACED)),
        )
        .values(state=BatchState.REPLACED)
    )
