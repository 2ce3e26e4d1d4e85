"""Engines: what loads the members of a model package and predicts. Each is found by name and imported when needed."""
