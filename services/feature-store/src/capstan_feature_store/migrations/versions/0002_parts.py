"""A part of a loop is compared by what it changes; its digest is no longer kept."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Drop the digest."""
    op.drop_column("fs_loops", "content")
