"""Model servers that report."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import InstantColumn

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One table; nothing else changes."""
    op.create_table(
        "model_servers",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("server", sa.String(253), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("flush_wanted", sa.Integer, nullable=False),
        sa.Column("flushed", sa.Integer, nullable=False),
        sa.Column("flushed_segment", sa.String(64), nullable=True),
        sa.Column("flushed_rows", sa.Integer, nullable=False),
        sa.Column("since", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "server", name="pk_model_servers"),
    )
