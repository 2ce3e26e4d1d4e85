"""The media of a batch may be a full media type, which is longer than a short name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Widen the column; SQLite copies the table, so that both databases declare the same length."""
    with op.batch_alter_table("batches") as batches:
        batches.alter_column(
            "media", existing_type=sa.String(16), type_=sa.String(80), existing_nullable=False
        )
