"""Loops, code archives, runs, and the chassis' tables."""

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.migrations_v1 import create_kit_tables
from capstan_servicekit.db.tables import InstantColumn, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    op.create_table(
        "loops",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("part", Json, nullable=False),
        sa.Column("pipeline", Json, nullable=False),
        sa.Column("applied_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "loop", name="pk_loops"),
    )
    op.create_table(
        "code_archives",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("pipelines", Json, nullable=False),
        sa.Column("errors", Json, nullable=False),
        sa.Column("problem", Json, nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", name="pk_code_archives"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("cause", sa.String(120), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("requested_by", sa.String(120), nullable=False),
        sa.Column("retrain_request", sa.String(36), nullable=True),
        sa.Column("promote", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("problem", Json, nullable=True),
        sa.Column("part", Json, nullable=False),
        sa.Column("pipeline", Json, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("dataset_version", sa.String(64), nullable=False),
        sa.Column("dataset_versions", Json, nullable=False),
        sa.Column("view_versions", Json, nullable=False),
        sa.Column("training_set", sa.String(64), nullable=True),
        sa.Column("package", sa.String(64), nullable=True),
        sa.Column("holdout", sa.String(64), nullable=True),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("mlflow_run", sa.String(64), nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.Column("started_at", InstantColumn, nullable=True),
        sa.Column("finished_at", InstantColumn, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("project", "loop", "cause", name="uq_runs_project"),
    )
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("ix_runs_project_id", "runs", ["project", "id"])
