"""Versions keep the rows that their run had; a champion gate with the margin of old has its metric's own.

The margin of 0 was a default, written into every stored loop: not being shown to be worse was enough for it. Under the
rule of now it would ask every candidate to be shown better.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0005"
down_revision = "0004"

LOOPS = sa.table("loops", sa.column("project", sa.String), sa.column("name", sa.String), sa.column("resolved", Json))


def upgrade() -> None:
    """What versions of before have learned is not known: their column is null."""
    op.add_column("versions", sa.Column("training_set", sa.String(64), nullable=True))
    connection = op.get_bind()
    for project, name, resolved in connection.execute(sa.select(LOOPS)).all():
        gates = resolved.get("loop", {}).get("spec", {}).get("gates", [])
        old = [gate for gate in gates if gate.get("kind") == "champion" and gate.get("margin") == 0]
        for gate in old:
            del gate["margin"]
        if old:
            row = sa.update(LOOPS).where(LOOPS.c.project == project, LOOPS.c.name == name)
            connection.execute(row.values(resolved=resolved))
