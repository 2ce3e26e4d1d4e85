"""Rows of the registry, and how several actions look them up. Everything is keyed by project."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKeyConstraint, Integer, MetaData, String, Text, UniqueConstraint, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from capstan_contracts.events import GateFigure
from capstan_contracts.rest.registry import ApprovalGiven
from capstan_registry.domain.champions import Crowning
from capstan_registry.domain.ledger import CROWNED
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.db.tables import NAMING, InstantColumn, Json, ModelColumn
from capstan_servicekit.errors import NotFound


class Base(DeclarativeBase):
    """The registry's tables."""

    metadata = MetaData(naming_convention=NAMING)


class LoopRow(Base):
    """A Loop object: resolved spec, generation, and which service took which generation."""

    __tablename__ = "loops"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    resolved: Mapped[dict[str, object]] = mapped_column(Json)
    taken: Mapped[dict[str, int]] = mapped_column(Json)
    applied: Mapped[bool] = mapped_column(Boolean)
    distributions: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[datetime] = mapped_column(InstantColumn)


class VersionRow(Base):
    """A model version; one per run. `training_set`: the rows that the run had, None for runs that did not say."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("project", "run", name="uq_versions_project"),)

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    package: Mapped[str] = mapped_column(String(64))
    run: Mapped[str] = mapped_column(String(36))
    holdout: Mapped[str | None] = mapped_column(String(64))
    training_set: Mapped[str | None] = mapped_column(String(64))
    dataset: Mapped[str] = mapped_column(String(63))
    dataset_version: Mapped[str] = mapped_column(String(64))
    metrics: Mapped[dict[str, float]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


class PromotionRow(Base):
    """A request for promotion and its decision; its state is that of the work item `decide`.

    Undecided with figures it waits for a person; `approval` is the answer, and a second item decides.
    """

    __tablename__ = "promotions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "model", "version"], ["versions.project", "versions.model", "versions.version"]
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project: Mapped[str] = mapped_column(String(63), index=True)
    model: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    requested_by: Mapped[str] = mapped_column(String(200))
    approved: Mapped[bool | None] = mapped_column(Boolean)
    gates: Mapped[list[GateFigure]] = mapped_column(ModelColumn(list[GateFigure]))
    approval: Mapped[ApprovalGiven | None] = mapped_column(ModelColumn(ApprovalGiven))
    ledger_sequence: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)


class LedgerRow(Base):
    """One decision, chained to the one before. Appended, never changed. `gates` is canonical JSON, kept as text."""

    __tablename__ = "ledger"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    model: Mapped[str] = mapped_column(String(63), index=True)
    version: Mapped[int] = mapped_column(Integer)
    previous_version: Mapped[int | None] = mapped_column(Integer)
    decision: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(InstantColumn)
    package: Mapped[str] = mapped_column(String(64))
    gates: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class ChampionRow(Base):
    """Which version is production now, and up to which ledger row MLflow's alias has followed."""

    __tablename__ = "champions"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    ledger_sequence: Mapped[int] = mapped_column(Integer)
    alias_sequence: Mapped[int] = mapped_column(Integer)


async def promotion_row(session: ReadSession, project: str, promotion: str) -> PromotionRow:
    """A request for promotion; NotFound."""
    row = await session.get(PromotionRow, promotion)
    if row is None or row.project != project:
        raise NotFound(f"no promotion {promotion} in project {project!r}")
    return row


async def crownings(session: ReadSession, project: str, model: str) -> list[Crowning]:
    """The decisions that made champions of a model, oldest first."""
    of_model = select(LedgerRow.version, LedgerRow.previous_version, LedgerRow.decision).where(
        LedgerRow.project == project, LedgerRow.model == model, LedgerRow.decision.in_(CROWNED)
    )
    rows = await session.execute(of_model.order_by(LedgerRow.sequence))
    return [Crowning(version, previous, decision) for version, previous, decision in rows]


async def version_row(session: ReadSession, project: str, model: str, version: int) -> VersionRow:
    """A model version; NotFound."""
    row = await session.get(VersionRow, (project, model, version))
    if row is None:
        raise NotFound(f"no version {version} of model {model!r} in project {project!r}")
    return row
