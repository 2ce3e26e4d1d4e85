"""Which of two statements about a label came later; and the segments whose packages are not known yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Labels of before count as said before all others."""
    op.add_column("monitors", sa.Column("statements", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("labels", sa.Column("said", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "waiting",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("package", sa.String(64), primary_key=True),
        sa.Column("segment", sa.String(64), primary_key=True),
        sa.Column("loop", sa.String(63), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
    )
    op.create_index("ix_waiting_loop", "waiting", ["loop"])
