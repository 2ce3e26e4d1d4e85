"""Heavy work: gates are computed here, in a worker process."""
