"""Promotions that a person answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One column; promotions of before have no answer."""
    op.add_column("promotions", sa.Column("approval", Json, nullable=True))
