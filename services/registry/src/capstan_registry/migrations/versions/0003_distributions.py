"""The count of a loop's distributions has the name that the rest of the platform gives it."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename the column; counts of before are kept."""
    op.alter_column("loops", "hand_outs", new_column_name="distributions")
