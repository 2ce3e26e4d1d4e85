"""Deployments, their revisions, model versions and log segments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.migrations_v1 import create_kit_tables
from capstan_servicekit.db.tables import InstantColumn, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    create_kit_tables()
    op.create_table(
        "deployments",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("config", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=True),
        sa.Column("package", sa.String(64), nullable=True),
        sa.Column("ledger_sequence", sa.BigInteger, nullable=True),
        sa.Column("since", InstantColumn, nullable=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_deployments"),
    )
    op.create_table(
        "revisions",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("ledger_sequence", sa.BigInteger, nullable=False),
        sa.Column("since", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "deployment", "revision", name="pk_revisions"),
    )
    op.create_table(
        "model_versions",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("run", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("project", "model", "version", name="pk_model_versions"),
    )
    op.create_table(
        "segments",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("first_ms", sa.BigInteger, nullable=False),
        sa.Column("last_ms", sa.BigInteger, nullable=False),
        sa.Column("first_event_time", InstantColumn, nullable=False),
        sa.Column("last_event_time", InstantColumn, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("closed_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", name="pk_segments"),
    )
    op.create_index("ix_segments_project_first_ms", "segments", ["project", "first_ms"])
