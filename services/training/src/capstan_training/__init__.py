"""Runs pipelines with pinned inputs and turns them into model packages."""
