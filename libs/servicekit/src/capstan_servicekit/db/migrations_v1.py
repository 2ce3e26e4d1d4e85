"""The chassis' tables, version 1, for the first migration of each service. Published: never edited, only followed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import InstantColumn, Json, Serial


def create_kit_tables() -> None:
    """Create outbox, inbox, dead letters, work and idempotency keys."""
    op.create_table(
        "kit_outbox",
        sa.Column("sequence", Serial, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("bus_subject", sa.String(255), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.Column("published_at", InstantColumn, nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_kit_outbox"),
        sa.UniqueConstraint("message_id", name="uq_kit_outbox_message_id"),
    )
    op.create_index("ix_kit_outbox_published_at", "kit_outbox", ["published_at"])
    op.create_table(
        "kit_inbox",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("handled_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_kit_inbox"),
    )
    op.create_table(
        "kit_dead_letters",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("failed_at", InstantColumn, nullable=False),
        sa.Column("replayed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kit_dead_letters"),
    )
    op.create_index("ix_kit_dead_letters_project", "kit_dead_letters", ["project"])
    op.create_table(
        "kit_work",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(120), nullable=True),
        sa.Column("lease_until", InstantColumn, nullable=True),
        sa.Column("not_before", InstantColumn, nullable=False),
        sa.Column("progress", Json, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("problem", Json, nullable=True),
        sa.Column("traceparent", sa.String(60), nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.Column("finished_at", InstantColumn, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_kit_work"),
        sa.UniqueConstraint("key", name="uq_kit_work_key"),
    )
    op.create_index("ix_kit_work_kind", "kit_work", ["kind"])
    op.create_index("ix_kit_work_state", "kit_work", ["state"])
    op.create_table(
        "kit_idempotency",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("response", Json, nullable=False),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "key", name="pk_kit_idempotency"),
    )
