"""The model server: a process of its own that imports nothing else of this package."""
