"""Simulations that show how often the statistics of the platform are right; docs/statistics has their tables."""
