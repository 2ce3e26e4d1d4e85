"""A source of uploads has no address; stored loops wrote one that was never set, and it is no field any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0004"
down_revision = "0003"

LOOPS = sa.table("loops", sa.column("project", sa.String), sa.column("name", sa.String), sa.column("resolved", Json))


def upgrade() -> None:
    """Leave the empty addresses out. One that was set stays, and reading the loop names it."""
    connection = op.get_bind()
    for project, name, resolved in connection.execute(sa.select(LOOPS)).all():
        spec = resolved.get("loop", {}).get("spec", {})
        for dataset in [spec.get("dataset", {}), *spec.get("sources", [])]:
            source = dataset.get("source")
            if isinstance(source, dict) and source.get("url", "") is None:
                del source["url"]
        loop = sa.update(LOOPS).where(LOOPS.c.project == project, LOOPS.c.name == name)
        connection.execute(loop.values(resolved=resolved))
