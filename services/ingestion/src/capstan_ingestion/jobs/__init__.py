"""Heavy work in worker processes: reading files, Great Expectations, DVC."""
