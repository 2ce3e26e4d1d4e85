"""Rows of the training service, and how several actions look them up. Everything is keyed by project."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Index, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_contracts.documents import JsonObject, Scalar
from capstan_contracts.errors import Problem
from capstan_contracts.rest.training import PodOutcome
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.db.tables import NAMING, InstantColumn, Json, ModelColumn
from capstan_servicekit.errors import NotFound


class Base(DeclarativeBase):
    """Base of the service's own tables."""

    metadata = MetaData(naming_convention=NAMING)


class LoopRow(Base):
    """The part of a loop that is in force, and the compiled pipeline that it names."""

    __tablename__ = "loops"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    part: Mapped[JsonObject] = mapped_column(Json)
    pipeline: Mapped[JsonObject] = mapped_column(Json)
    applied_at: Mapped[datetime] = mapped_column(InstantColumn)


class CodeRow(Base):
    """A recipe archive and its compiled pipelines. `attempt` counts how often it was handed in after a failure."""

    __tablename__ = "code_archives"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    pipelines: Mapped[dict[str, JsonObject]] = mapped_column(Json)
    errors: Mapped[dict[str, str]] = mapped_column(Json)
    problem: Mapped[Problem | None] = mapped_column(ModelColumn(Problem))
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


class RunRow(Base):
    """One run with its pins. `cause` is what it was started for: a cause never starts two runs of a loop."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("project", "loop", "cause"), Index("ix_runs_project_id", "project", "id"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    loop: Mapped[str] = mapped_column(String(63))
    cause: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str] = mapped_column(String(16))
    requested_by: Mapped[str] = mapped_column(String(120))
    retrain_request: Mapped[str | None] = mapped_column(String(36))
    promote: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(String(16), index=True)
    stage: Mapped[str] = mapped_column(String(16))
    problem: Mapped[Problem | None] = mapped_column(ModelColumn(Problem))
    part: Mapped[JsonObject] = mapped_column(Json)
    pipeline: Mapped[JsonObject] = mapped_column(Json)
    parameters: Mapped[dict[str, Scalar]] = mapped_column(Json)
    seed: Mapped[int] = mapped_column(Integer)
    code: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str] = mapped_column(String(63))
    dataset_version: Mapped[str] = mapped_column(String(64))
    dataset_versions: Mapped[dict[str, str]] = mapped_column(Json)
    view_versions: Mapped[dict[str, str]] = mapped_column(Json)
    training_set: Mapped[str | None] = mapped_column(String(64))
    package: Mapped[str | None] = mapped_column(String(64))
    holdout: Mapped[str | None] = mapped_column(String(64))
    metrics: Mapped[dict[str, float]] = mapped_column(Json)
    mlflow_run: Mapped[str | None] = mapped_column(String(64))
    log: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(InstantColumn)
    started_at: Mapped[datetime | None] = mapped_column(InstantColumn)
    finished_at: Mapped[datetime | None] = mapped_column(InstantColumn)


class HandoverRow(Base):
    """What a run that goes on elsewhere may come in with (digests of tokens), and what it has handed in so far."""

    __tablename__ = "run_handovers"

    run: Mapped[str] = mapped_column(String(36), primary_key=True)
    tokens: Mapped[list[str]] = mapped_column(Json)
    package: Mapped[str | None] = mapped_column(String(64))
    holdout: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[PodOutcome | None] = mapped_column(ModelColumn(PodOutcome))


async def run_row(session: ReadSession, project: str, run: str) -> RunRow:
    """A run of this project; NotFound."""
    row = await session.get(RunRow, run)
    if row is None or row.project != project:
        raise NotFound(f"no run {run} in project {project}")
    return row
