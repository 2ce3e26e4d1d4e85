"""Loops, versions, promotions, ledger, champions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.migrations_v1 import create_kit_tables
from capstan_servicekit.db.tables import InstantColumn, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    create_kit_tables()
    op.create_table(
        "loops",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("resolved", Json, nullable=False),
        sa.Column("taken", Json, nullable=False),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("hand_outs", sa.Integer, nullable=False),
        sa.Column("updated_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_loops"),
    )
    op.create_table(
        "versions",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("run", sa.String(36), nullable=False),
        sa.Column("holdout", sa.String(64), nullable=True),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("dataset_version", sa.String(64), nullable=False),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "model", "version", name="pk_versions"),
        sa.UniqueConstraint("project", "run", name="uq_versions_project"),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("approved", sa.Boolean, nullable=True),
        sa.Column("gates", Json, nullable=False),
        sa.Column("ledger_sequence", sa.Integer, nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
        sa.ForeignKeyConstraint(
            ["project", "model", "version"],
            ["versions.project", "versions.model", "versions.version"],
            name="fk_promotions_project_versions",
        ),
    )
    op.create_index("ix_promotions_project", "promotions", ["project"])
    op.create_table(
        "ledger",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("previous_version", sa.Integer, nullable=True),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", InstantColumn, nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("gates", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("project", "sequence", name="pk_ledger"),
    )
    op.create_index("ix_ledger_model", "ledger", ["model"])
    op.create_table(
        "champions",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ledger_sequence", sa.Integer, nullable=False),
        sa.Column("alias_sequence", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project", "model", name="pk_champions"),
    )


def downgrade() -> None:
    """The first revision has nothing before it."""
    raise NotImplementedError("there is nothing before the first revision")
