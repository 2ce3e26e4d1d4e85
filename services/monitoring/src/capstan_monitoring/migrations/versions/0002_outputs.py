"""A prediction may be more than one number: all outputs are kept where they are, and the one number may be missing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Predictions of before keep their one number; SQLite copies the table, since it cannot alter a column."""
    with op.batch_alter_table("scored") as scored:
        scored.alter_column("prediction", existing_type=sa.Float(), nullable=True)
        scored.add_column(sa.Column("outputs", Json, nullable=True))
