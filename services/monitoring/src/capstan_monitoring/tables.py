"""Rows of the monitoring service, and how several actions look them up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_contracts.events import DriftFigure
from capstan_monitoring.domain.work import NamedWindow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.db.tables import NAMING, InstantColumn, Json, ModelColumn
from capstan_servicekit.errors import NotFound


class Base(DeclarativeBase):
    """Base of this service's tables."""

    metadata = MetaData(naming_convention=NAMING)


class MonitorRow(Base):
    """The monitor of a loop: its part of the spec, the version it watches, and how far time has come."""

    __tablename__ = "monitors"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    part: Mapped[dict[str, object]] = mapped_column(Json)
    model_version: Mapped[int | None] = mapped_column(Integer)
    ledger: Mapped[int] = mapped_column(Integer, default=0)
    newest: Mapped[datetime | None] = mapped_column(InstantColumn)
    declared: Mapped[datetime | None] = mapped_column(InstantColumn)
    alarm: Mapped[bool] = mapped_column(Boolean, default=False)
    alarm_columns: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
    """The columns that made the alarm: it is over when a window has judged them all, and none has drifted."""
    statements: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """How many times labels were received: the order in which they were said."""


class PackageRow(Base):
    """A package that was promoted, and the training set that its reports compare with."""

    __tablename__ = "packages"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    package: Mapped[str] = mapped_column(String(64), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), index=True)
    version: Mapped[int | None] = mapped_column(Integer)
    ledger: Mapped[int] = mapped_column(Integer, default=0)
    training_set: Mapped[str | None] = mapped_column(String(64))


class SegmentRow(Base):
    """A segment of the prediction log that was taken in, or why it could not be."""

    __tablename__ = "segments"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), index=True)
    rows: Mapped[int] = mapped_column(Integer)
    unknown: Mapped[int] = mapped_column(Integer, default=0)
    problem: Mapped[str] = mapped_column(Text, default="")


class WaitingRow(Base):
    """Predictions of a segment whose package no event has told of yet: they are taken in when one does."""

    __tablename__ = "waiting"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    package: Mapped[str] = mapped_column(String(64), primary_key=True)
    segment: Mapped[str] = mapped_column(String(64), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), index=True)
    rows: Mapped[int] = mapped_column(Integer)


class PartialRow(Base):
    """Sketches of one segment's rows in one window under one version: merged when the window is judged."""

    __tablename__ = "partials"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    segment: Mapped[str] = mapped_column(String(64), primary_key=True)
    window_start: Mapped[datetime] = mapped_column(InstantColumn, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), index=True)
    package: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(Integer)
    sketches: Mapped[dict[str, object]] = mapped_column(Json)


class WindowRow(Base):
    """A window of one version. `judged` are the rows that the verdict rests on; rows beyond them came late."""

    __tablename__ = "windows"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), primary_key=True)
    start: Mapped[datetime] = mapped_column(InstantColumn, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    end: Mapped[datetime] = mapped_column(InstantColumn)
    package: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(Integer)
    judged: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    figures: Mapped[list[DriftFigure]] = mapped_column(ModelColumn(list[DriftFigure]))
    report: Mapped[str | None] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text, default="")


class ScoredRow(Base):
    """A prediction, as far as quality needs it. `state`: a label is awaited, there, or known never to come.

    `prediction` is the monitored output where it is a number; `outputs` has all outputs where they are more than that.
    """

    __tablename__ = "scored"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    prediction_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    window_start: Mapped[datetime] = mapped_column(InstantColumn)
    join_key: Mapped[str | None] = mapped_column(String(32))
    prediction: Mapped[float | None] = mapped_column(Float)
    outputs: Mapped[dict[str, object] | None] = mapped_column(Json)
    label: Mapped[float | None] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(8), default="awaited")

    __table_args__ = (
        Index("ix_scored_join", "project", "loop", "join_key"),
        Index("ix_scored_window", "project", "loop", "window_start", "version", "state"),
    )


class LabelRow(Base):
    """A true outcome by key, or by the hex of a prediction id; null when it is known that there will never be one.

    `rank` is the sequence number of the dataset version that said so: an older version never overwrites a newer one.
    `said` is the number of the statement, by which the later one of a key and of a prediction id counts.
    """

    __tablename__ = "labels"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), primary_key=True)
    join_key: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[float | None] = mapped_column(Float)
    rank: Mapped[int] = mapped_column(Integer, default=0)
    said: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class QualityRow(Base):
    """Live quality of a window under one version."""

    __tablename__ = "quality"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    loop: Mapped[str] = mapped_column(String(63), primary_key=True)
    start: Mapped[datetime] = mapped_column(InstantColumn, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    end: Mapped[datetime] = mapped_column(InstantColumn)
    metric: Mapped[str] = mapped_column(String(32))
    rows: Mapped[int] = mapped_column(Integer)
    labelled: Mapped[int] = mapped_column(Integer)
    value: Mapped[float | None] = mapped_column(Float)
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    degraded: Mapped[bool] = mapped_column(Boolean, default=False)


class CommitRow(Base):
    """A version of a dataset, and up to which event time its rows reach."""

    __tablename__ = "commits"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    batch: Mapped[str] = mapped_column(String(64))
    event_time_max: Mapped[datetime | None] = mapped_column(InstantColumn)
    committed_at: Mapped[datetime] = mapped_column(InstantColumn)


class RetrainRow(Base):
    """A retrain that was asked for or withheld."""

    __tablename__ = "retrains"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project: Mapped[str] = mapped_column(String(63))
    loop: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text, default="")
    needs_labels_until: Mapped[datetime | None] = mapped_column(InstantColumn)
    dataset_version: Mapped[str | None] = mapped_column(String(64))
    run: Mapped[str | None] = mapped_column(String(36))
    evidence: Mapped[dict[str, object]] = mapped_column(Json)
    event_time: Mapped[datetime] = mapped_column(InstantColumn)
    at: Mapped[datetime] = mapped_column(InstantColumn)

    __table_args__ = (Index("ix_retrains_loop", "project", "loop"),)


async def monitor_row(session: ReadSession, project: str, loop: str) -> MonitorRow:
    """The monitor of a loop; NotFound."""
    row = await session.get(MonitorRow, (project, loop))
    if row is None:
        raise NotFound(
            f"no monitor of a loop {loop} in project {project}", hint="A monitor is made by applying a loop."
        )
    return row


async def window_of(session: ReadSession, project: str, name: NamedWindow) -> WindowRow:
    """The window of a work item: it is there."""
    return await session.get_one(WindowRow, (project, name.loop, name.start, name.version))
