"""Rows of the feature store, and how several actions look them up. Every key begins with the project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Integer, MetaData, String, Text, UniqueConstraint, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_contracts.loop import ViewSpec
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.db.tables import NAMING, InstantColumn, Json, Serial
from capstan_servicekit.errors import NotFound


class Base(DeclarativeBase):
    """This service's tables."""

    metadata = MetaData(naming_convention=NAMING)


class LoopRow(Base):
    """The part of a loop that was taken last."""

    __tablename__ = "fs_loops"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    service: Mapped[str] = mapped_column(String(63))


class ViewRow(Base):
    """A view under its content version; `current` is the version that is kept online."""

    __tablename__ = "fs_views"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63))
    dataset: Mapped[str] = mapped_column(String(63), index=True)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    current: Mapped[bool] = mapped_column(Boolean)
    online_dataset_version: Mapped[str | None] = mapped_column(String(64))
    online_sequence: Mapped[int | None] = mapped_column(Integer)
    online_rows: Mapped[int] = mapped_column(Integer)
    online_watermark: Mapped[datetime | None] = mapped_column(InstantColumn)
    registered_at: Mapped[datetime] = mapped_column(InstantColumn)


class FeatureServiceRow(Base):
    """A feature service and the versions of the views that it reads."""

    __tablename__ = "fs_services"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    views: Mapped[dict[str, str]] = mapped_column(Json)


class DatasetVersionRow(Base):
    """A dataset version that ingestion told of, in the order of the telling."""

    __tablename__ = "fs_dataset_versions"
    __table_args__ = (UniqueConstraint("project", "dataset", "version", "parent"),)

    ordinal: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(String(63))
    dataset: Mapped[str] = mapped_column(String(63))
    version: Mapped[str] = mapped_column(String(64))
    parent: Mapped[str] = mapped_column(String(64))  # empty for the first version: NULLs are never equal
    committed_at: Mapped[datetime] = mapped_column(InstantColumn)


class MaterializationRow(Base):
    """One attempt to bring a view's online store to a dataset version."""

    __tablename__ = "fs_materializations"
    __table_args__ = (UniqueConstraint("project", "view", "view_version", "dataset_version", "attempt"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(63), index=True)
    view: Mapped[str] = mapped_column(String(63))
    view_version: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str] = mapped_column(String(63))
    dataset_version: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int] = mapped_column(Integer)
    ordinal: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text)
    rows: Mapped[int | None] = mapped_column(Integer)
    watermark: Mapped[datetime | None] = mapped_column(InstantColumn)
    problem: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


class TrainingSetRow(Base):
    """A pinned training set; its id is the digest of its pins. `checked`: every file that it was made of was."""

    __tablename__ = "fs_training_sets"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    request: Mapped[dict[str, Any]] = mapped_column(Json)
    service: Mapped[dict[str, Any]] = mapped_column(Json)
    view_versions: Mapped[dict[str, str]] = mapped_column(Json)
    dataset_versions: Mapped[dict[str, str]] = mapped_column(Json)
    attempt: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str | None] = mapped_column(String(64))
    rows: Mapped[int | None] = mapped_column(Integer)
    unlabelled: Mapped[int | None] = mapped_column(Integer)
    checked: Mapped[bool] = mapped_column(Boolean)
    problem: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


async def current_view_row(session: ReadSession, project: str, name: str) -> ViewRow:
    """A view under its current version; NotFound."""
    query = select(ViewRow).where(ViewRow.project == project, ViewRow.name == name, ViewRow.current)
    row = await session.scalar(query)
    if row is None:
        raise NotFound(f"no view {name!r} in project {project!r}", hint="A loop's features folder defines views.")
    return row


async def service_row(session: ReadSession, project: str, name: str) -> FeatureServiceRow:
    """A feature service; NotFound."""
    row = await session.get(FeatureServiceRow, (project, name))
    if row is None:
        raise NotFound(f"no feature service {name!r} in project {project!r}", hint="Apply a loop that defines it.")
    return row


async def views_at(session: ReadSession, project: str, versions: dict[str, str]) -> dict[str, ViewSpec]:
    """The specs of views under given versions (they are never deleted)."""
    specs = {}
    for name, version in versions.items():
        row = await session.get(ViewRow, (project, name, version))
        if row is None:
            raise NotFound(f"no view {name!r} of version {version[:12]} in project {project!r}")
        specs[name] = ViewSpec.model_validate(row.spec)
    return specs


async def newest_known(session: ReadSession, project: str, dataset: str) -> DatasetVersionRow | None:
    """The newest dataset version that ingestion told of: no other one's parent, whatever the order of the events."""
    query = select(DatasetVersionRow).where(DatasetVersionRow.project == project, DatasetVersionRow.dataset == dataset)
    rows = list(await session.scalars(query.order_by(DatasetVersionRow.ordinal.desc())))
    parents = {row.parent for row in rows}
    heads = [row for row in rows if row.version not in parents]
    return next(iter(heads or rows), None)
