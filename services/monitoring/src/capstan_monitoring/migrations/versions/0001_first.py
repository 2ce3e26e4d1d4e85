"""Monitors, packages, segments, windows, labels, quality, retrains, and the chassis' tables."""

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.migrations_v1 import create_kit_tables
from capstan_servicekit.db.tables import InstantColumn, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    _watching()
    _windows()
    _labels()
    _retrains()


def _watching() -> None:
    op.create_table(
        "monitors",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("part", Json, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=True),
        sa.Column("ledger", sa.Integer, nullable=False),
        sa.Column("newest", InstantColumn, nullable=True),
        sa.Column("declared", InstantColumn, nullable=True),
        sa.Column("alarm", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("project", "loop", name="pk_monitors"),
    )
    op.create_table(
        "packages",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("ledger", sa.Integer, nullable=False),
        sa.Column("training_set", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("project", "package", name="pk_packages"),
    )
    op.create_index("ix_packages_loop", "packages", ["loop"])
    op.create_table(
        "segments",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", name="pk_segments"),
    )
    op.create_index("ix_segments_loop", "segments", ["loop"])


def _windows() -> None:
    op.create_table(
        "partials",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("segment", sa.String(64), nullable=False),
        sa.Column("window_start", InstantColumn, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("sketches", Json, nullable=False),
        sa.PrimaryKeyConstraint("project", "segment", "window_start", "version", name="pk_partials"),
    )
    op.create_index("ix_partials_loop", "partials", ["loop"])
    op.create_table(
        "windows",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("start", InstantColumn, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("end", InstantColumn, nullable=False),
        sa.Column("package", sa.String(64), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("judged", sa.Integer, nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("report", sa.String(64), nullable=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "loop", "start", "version", name="pk_windows"),
    )


def _labels() -> None:
    op.create_table(
        "scored",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("prediction_id", sa.String(36), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("window_start", InstantColumn, nullable=False),
        sa.Column("join_key", sa.String(32), nullable=True),
        sa.Column("prediction", sa.Float, nullable=False),
        sa.Column("label", sa.Float, nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("project", "prediction_id", name="pk_scored"),
    )
    op.create_index("ix_scored_join", "scored", ["project", "loop", "join_key"])
    op.create_index("ix_scored_window", "scored", ["project", "loop", "window_start", "version", "state"])
    op.create_table(
        "labels",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("join_key", sa.String(32), nullable=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project", "loop", "join_key", name="pk_labels"),
    )
    op.create_table(
        "quality",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("start", InstantColumn, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("end", InstantColumn, nullable=False),
        sa.Column("metric", sa.String(32), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("labelled", sa.Integer, nullable=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("low", sa.Float, nullable=True),
        sa.Column("high", sa.Float, nullable=True),
        sa.Column("degraded", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("project", "loop", "start", "version", name="pk_quality"),
    )


def _retrains() -> None:
    op.create_table(
        "commits",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("event_time_max", InstantColumn, nullable=True),
        sa.Column("committed_at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("project", "dataset", "version", name="pk_commits"),
    )
    op.create_table(
        "retrains",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("needs_labels_until", InstantColumn, nullable=True),
        sa.Column("dataset_version", sa.String(64), nullable=True),
        sa.Column("run", sa.String(36), nullable=True),
        sa.Column("evidence", Json, nullable=False),
        sa.Column("event_time", InstantColumn, nullable=False),
        sa.Column("at", InstantColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retrains"),
    )
    op.create_index("ix_retrains_loop", "retrains", ["project", "loop"])
