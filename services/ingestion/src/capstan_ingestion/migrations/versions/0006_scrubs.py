"""Scrubs: walks over all objects of datasets, and what they found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import InstantColumn, Json

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "scrubs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("objects", sa.BigInteger, nullable=False),
        sa.Column("damaged", sa.BigInteger, nullable=False),
        sa.Column("gone", sa.BigInteger, nullable=False),
        sa.Column("findings", Json, nullable=False),
        sa.Column("problem", Json, nullable=True),
        sa.Column("created_at", InstantColumn, nullable=False),
        sa.Column("finished_at", InstantColumn, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_scrubs"),
    )
    op.create_index("ix_scrubs_project", "scrubs", ["project"])
