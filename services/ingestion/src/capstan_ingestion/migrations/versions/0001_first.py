"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.migrations_v1 import create_kit_tables
from capstan_servicekit.db.tables import InstantColumn, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the chassis' tables and our own."""
    create_kit_tables()
    op.create_table(
        "datasets",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("latest", sa.String(64), nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.Column("updated_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_datasets"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("partition", sa.String(63), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("media", sa.String(16), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=True),
        sa.Column("verdict", Json, nullable=True),
        sa.Column("failing_rows", sa.String(64), nullable=True),
        sa.Column("failing_total", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("replaces", sa.String(64), nullable=True),
        sa.Column("problem", Json, nullable=True),
        sa.Column("received_at", InstantColumn, nullable=False),
        sa.Column("finished_at", InstantColumn, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("project", "dataset", "partition", "digest", name="uq_batches_place"),
    )
    op.create_index("ix_batches_digest", "batches", ["project", "digest"])
    op.create_table(
        "versions",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("manifest", Json, nullable=False),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "dataset", "version", name="pk_versions"),
        sa.UniqueConstraint("project", "dataset", "sequence", name="uq_versions_sequence"),
    )
    op.create_table(
        "loops",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("updated_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_loops"),
    )


def downgrade() -> None:
    """Published data is not thrown away by a downgrade."""
    raise NotImplementedError("the first revision cannot be taken back")
