"""Alembic's entry."""

from capstan_inference.tables import Base
from capstan_servicekit.db.migrate import run

run(Base.metadata)
