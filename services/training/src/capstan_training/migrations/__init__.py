"""Alembic revisions of the training service."""
