"""Rows that every service keeps beside its own. Times are UTC; `Instant` columns survive SQLite with their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import JSON as SQL_JSON
from sqlalchemy import BigInteger, Boolean, DateTime, Dialect, Integer, MetaData, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

M = TypeVar("M")
NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

Json = SQL_JSON()
"""A JSON document, kept as it was written. Not JSONB: that changes the order of keys and the spelling of numbers, and
digests are made of documents. Nothing searches inside of one."""


class ModelColumn(TypeDecorator[M], Generic[M]):
    """A JSON document that is read and written as `model`: a pydantic model, or a list or mapping of one.

    A document that the model does not take raises ValidationError when its row is read; a model must therefore ignore
    the fields that a later release adds. What may be older than its model (a part of a loop, a specification) is kept
    as Json and read where it is needed. Assign a new value to change it: what changes inside is not seen.
    """

    impl = SQL_JSON
    cache_ok = True

    def __init__(self, model: type[M]) -> None:
        super().__init__()
        self.model = model
        self._adapter: TypeAdapter[M] = TypeAdapter(model)

    def process_bind_param(self, value: M | None, dialect: Dialect) -> object:
        """The document; None stays what JSON has for it."""
        return None if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: object, dialect: Dialect) -> M | None:
        """The model. ValidationError."""
        return None if value is None else self._adapter.validate_python(value)


Serial = BigInteger().with_variant(Integer(), "sqlite")
"""A growing integer key; SQLite only counts by itself in INTEGER."""


class InstantColumn(TypeDecorator[datetime]):
    """A UTC instant with microseconds; SQLite stores it without zone, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse times without a zone; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class KitBase(DeclarativeBase):
    """The tables of the chassis. A service's own tables have a base, and metadata, of their own."""

    metadata = MetaData(naming_convention=NAMING)


class OutboxRow(KitBase):
    """A message that was committed with the state change it tells of; published once the broker has acknowledged it."""

    __tablename__ = "kit_outbox"

    sequence: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(String(64), unique=True)
    bus_subject: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)
    published_at: Mapped[datetime | None] = mapped_column(InstantColumn, index=True)


class InboxRow(KitBase):
    """An event whose effect is committed; the same event again does nothing."""

    __tablename__ = "kit_inbox"

    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    event_type: Mapped[str] = mapped_column(String(100))
    handled_at: Mapped[datetime] = mapped_column(InstantColumn)


class DeadLetterRow(KitBase):
    """An event that could not be taken, with the reason."""

    __tablename__ = "kit_dead_letters"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(63), index=True)
    event_id: Mapped[str] = mapped_column(String(64))
    event_type: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    body: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime] = mapped_column(InstantColumn)
    replayed: Mapped[bool] = mapped_column(Boolean, default=False)


class WorkRow(KitBase):
    """Long work: claimed by lease, guarded by a fencing token that grows with each claim."""

    __tablename__ = "kit_work"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(63), index=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    project: Mapped[str] = mapped_column(String(63))
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16), index=True)
    fence: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str | None] = mapped_column(String(120))
    lease_until: Mapped[datetime | None] = mapped_column(InstantColumn)
    not_before: Mapped[datetime] = mapped_column(InstantColumn)
    progress: Mapped[dict[str, Any]] = mapped_column(Json)
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    problem: Mapped[dict[str, Any] | None] = mapped_column(Json)
    traceparent: Mapped[str | None] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(InstantColumn)
    finished_at: Mapped[datetime | None] = mapped_column(InstantColumn)


class IdempotencyRow(KitBase):
    """The answer that was given under an Idempotency-Key."""

    __tablename__ = "kit_idempotency"

    project: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    response: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(InstantColumn)
