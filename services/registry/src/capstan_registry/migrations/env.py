"""Runs the revisions on the database that the service was given."""

from __future__ import annotations

from capstan_registry.tables import Base
from capstan_servicekit.db.migrate import run

run(Base.metadata)
