"""Which columns made an alarm: only a window that has judged them all ends it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Of an alarm of before nobody has kept them: any quiet window ends it."""
    op.add_column("monitors", sa.Column("alarm_columns", Json, nullable=False, server_default="[]"))
