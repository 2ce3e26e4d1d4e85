"""Rows with columns."""
