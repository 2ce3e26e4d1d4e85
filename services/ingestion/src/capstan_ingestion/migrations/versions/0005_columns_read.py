"""A loop's part holds the columns of its dataset that the loop itself reads; those of loops applied before are not known.

They are filled in when the loop is applied with a change in its datasets; until then no column is needed for it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add both columns, empty."""
    op.add_column("loops", sa.Column("dataset", sa.String(63), nullable=True))
    op.add_column("loops", sa.Column("reads", Json, nullable=True))
