"""Alembic's entry."""

from capstan_feature_store.tables import Base
from capstan_servicekit.db.migrate import run

run(Base.metadata)
