"""A service's part of a loop: one way to take it, filled in by each service."""
