"""Families of kinds: the specs that a loop may write, and how an implementation is found by name."""
