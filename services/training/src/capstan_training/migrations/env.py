"""Alembic's entry: the chassis knows how to run revisions."""

from capstan_servicekit.db.migrate import run
from capstan_training.tables import Base

run(Base.metadata)
