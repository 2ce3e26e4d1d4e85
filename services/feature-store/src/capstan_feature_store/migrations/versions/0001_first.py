"""The chassis' tables and the first tables of the feature store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.migrations_v1 import create_kit_tables
from capstan_servicekit.db.tables import InstantColumn, Json, Serial

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    op.create_table(
        "fs_loops",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.PrimaryKeyConstraint("project", "loop", name="pk_fs_loops"),
    )
    op.create_table(
        "fs_views",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("online_dataset_version", sa.String(64), nullable=True),
        sa.Column("online_sequence", sa.Integer, nullable=True),
        sa.Column("online_rows", sa.Integer, nullable=False),
        sa.Column("online_watermark", InstantColumn, nullable=True),
        sa.Column("registered_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", "version", name="pk_fs_views"),
    )
    op.create_index("ix_fs_views_dataset", "fs_views", ["dataset"])
    op.create_table(
        "fs_services",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("views", Json, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_fs_services"),
    )
    op.create_table(
        "fs_dataset_versions",
        sa.Column("ordinal", Serial, autoincrement=True, nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("parent", sa.String(64), nullable=False),
        sa.Column("committed_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("ordinal", name="pk_fs_dataset_versions"),
        sa.UniqueConstraint("project", "dataset", "version", "parent", name="uq_fs_dataset_versions_project"),
    )
    op.create_table(
        "fs_materializations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("view", sa.String(63), nullable=False),
        sa.Column("view_version", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("dataset_version", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=True),
        sa.Column("watermark", InstantColumn, nullable=True),
        sa.Column("problem", Json, nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fs_materializations"),
        sa.UniqueConstraint(
            "project", "view", "view_version", "dataset_version", "attempt", name="uq_fs_materializations_project"
        ),
    )
    op.create_index("ix_fs_materializations_project", "fs_materializations", ["project"])
    op.create_table(
        "fs_training_sets",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("request", Json, nullable=False),
        sa.Column("service", Json, nullable=False),
        sa.Column("view_versions", Json, nullable=False),
        sa.Column("dataset_versions", Json, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=True),
        sa.Column("rows", sa.Integer, nullable=True),
        sa.Column("unlabelled", sa.Integer, nullable=True),
        sa.Column("problem", Json, nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "id", name="pk_fs_training_sets"),
    )
