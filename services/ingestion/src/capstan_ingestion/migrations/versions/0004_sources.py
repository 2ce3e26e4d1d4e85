"""A source of uploads has no address; stored specs wrote one that was never set, and it is no field any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from capstan_servicekit.db.tables import Json

revision = "0004"
down_revision = "0003"

DATASETS = sa.table("datasets", sa.column("project", sa.String), sa.column("name", sa.String), sa.column("spec", Json))


def upgrade() -> None:
    """Leave the empty address out. One that was set stays, and reading the spec names it."""
    connection = op.get_bind()
    for project, name, spec in connection.execute(sa.select(DATASETS)).all():
        source = spec.get("source")
        if isinstance(source, dict) and source.get("url", "") is None:
            del source["url"]
            statement = sa.update(DATASETS).where(DATASETS.c.project == project, DATASETS.c.name == name)
            connection.execute(statement.values(spec=spec))
