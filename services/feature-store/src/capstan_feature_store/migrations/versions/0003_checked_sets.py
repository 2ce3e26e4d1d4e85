"""A training set says whether the files that it was made of were checked; those of earlier releases were not.

Such a set is made again when it is asked for: the same bytes where the files are whole.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; nothing is known of the sets that are there."""
    op.add_column("fs_training_sets", sa.Column("checked", sa.Boolean(), nullable=False, server_default=sa.false()))
