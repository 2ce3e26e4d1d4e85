"""One module per metric; each holds the object that pyproject.toml registers under the metric's name."""
