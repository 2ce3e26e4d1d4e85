"""Rows of the inference service, and what several actions do with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.db.tables import NAMING, InstantColumn, Json
from capstan_servicekit.errors import NotFound


class Base(DeclarativeBase):
    """Own tables."""

    metadata = MetaData(naming_convention=NAMING)


class DeploymentRow(Base):
    """What serves a loop now; `ledger_sequence` is that of the promotion it follows."""

    __tablename__ = "deployments"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(63))
    generation: Mapped[int] = mapped_column(Integer)
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(Integer)
    model_version: Mapped[int | None] = mapped_column(Integer)
    package: Mapped[str | None] = mapped_column(String(64))
    ledger_sequence: Mapped[int | None] = mapped_column(BigInteger)
    since: Mapped[datetime | None] = mapped_column(InstantColumn)
    message: Mapped[str] = mapped_column(Text)


class RevisionRow(Base):
    """Which version a revision of a deployment was: what a logged prediction leads to."""

    __tablename__ = "revisions"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    deployment: Mapped[str] = mapped_column(String(63), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True)
    model_version: Mapped[int] = mapped_column(Integer)
    package: Mapped[str] = mapped_column(String(64))
    ledger_sequence: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime] = mapped_column(InstantColumn)


class ModelVersionRow(Base):
    """The run behind a model version, as the registry told."""

    __tablename__ = "model_versions"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    package: Mapped[str] = mapped_column(String(64))
    run: Mapped[str] = mapped_column(String(36))


class SegmentRow(Base):
    """A shipped segment of the prediction log; Unix milliseconds are those inside its prediction ids."""

    __tablename__ = "segments"
    __table_args__ = (Index("ix_segments_project_first_ms", "project", "first_ms"),)

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    deployment: Mapped[str] = mapped_column(String(63))
    first_ms: Mapped[int] = mapped_column(BigInteger)
    last_ms: Mapped[int] = mapped_column(BigInteger)
    first_event_time: Mapped[datetime] = mapped_column(InstantColumn)
    last_event_time: Mapped[datetime] = mapped_column(InstantColumn)
    records: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    closed_at: Mapped[datetime] = mapped_column(InstantColumn)


LOST = "lost"
"""The state of a model server that is gone for good; the others are those that servers report."""


class ModelServerRow(Base):
    """A model server of a deployment as it last reported; `records` of its log are not shipped yet.

    A server that drained leaves no row. `lost`: it is gone for good, and its records with it.
    """

    __tablename__ = "model_servers"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    server: Mapped[str] = mapped_column(String(253), primary_key=True)
    deployment: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(Integer)
    model_version: Mapped[int] = mapped_column(Integer)
    package: Mapped[str] = mapped_column(String(64))
    records: Mapped[int] = mapped_column(BigInteger)
    flush_wanted: Mapped[int] = mapped_column(Integer)
    flushed: Mapped[int] = mapped_column(Integer)
    flushed_segment: Mapped[str | None] = mapped_column(String(64))
    flushed_rows: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime] = mapped_column(InstantColumn)


async def deployment_row(session: ReadSession, project: str, name: str) -> DeploymentRow:
    """A deployment; NotFound."""
    row = await session.get(DeploymentRow, (project, name))
    if row is None:
        raise NotFound(f"no deployment {name} in project {project}", hint="A deployment is made by applying a loop.")
    return row


async def remember_run(session: WriteSession, project: str, model: str, version: int, package: str, run: str) -> None:
    """Keep which run made a version, from wherever it is known."""
    await session.merge(ModelVersionRow(project=project, model=model, version=version, package=package, run=run))
