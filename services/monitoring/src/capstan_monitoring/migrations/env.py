"""Alembic's entry."""

from capstan_monitoring.tables import Base
from capstan_servicekit.db.migrate import run

run(Base.metadata)
