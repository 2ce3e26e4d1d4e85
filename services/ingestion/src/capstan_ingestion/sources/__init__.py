"""Where the rows of a dataset come from: one source per file."""
