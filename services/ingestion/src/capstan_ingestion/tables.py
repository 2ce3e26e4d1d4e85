"""Rows of ingestion: datasets, batches, versions and the loops that named them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_servicekit.db.tables import NAMING, InstantColumn, Json


class Base(DeclarativeBase):
    """The tables of this service."""

    metadata = MetaData(naming_convention=NAMING)


class DatasetRow(Base):
    """A dataset; `latest` is the version that the next commit builds upon."""

    __tablename__ = "datasets"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
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
    verdict: Mapped[dict[str, Any] | None] = mapped_column(Json)
    failing_rows: Mapped[str | None] = mapped_column(String(64))
    failing_total: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[str | None] = mapped_column(String(64))
    replaces: Mapped[str | None] = mapped_column(String(64))
    problem: Mapped[dict[str, Any] | None] = mapped_column(Json)
    received_at: Mapped[datetime] = mapped_column(InstantColumn)
    finished_at: Mapped[datetime | None] = mapped_column(InstantColumn)


class VersionRow(Base):
    """A dataset version: immutable. `manifest` is its wire form."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("project", "dataset", "sequence", name="uq_versions_sequence"),)

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer)
    manifest: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


class LoopRow(Base):
    """The last part that was handed over for a loop."""

    __tablename__ = "loops"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    content: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(InstantColumn)
