"""Logs that are stored, and what runs hand over that go on outside of the service's machine."""

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("log", sa.String(64), nullable=True))
    op.create_table(
        "run_handovers",
        sa.Column("run", sa.String(36), nullable=False),
        sa.Column("tokens", Json, nullable=False),
        sa.Column("package", sa.String(64), nullable=True),
        sa.Column("holdout", sa.String(64), nullable=True),
        sa.Column("outcome", Json, nullable=True),
        sa.PrimaryKeyConstraint("run", name="pk_run_handovers"),
    )
