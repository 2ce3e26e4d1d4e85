"""What gates judge by, one file per source, asked only when a gate needs it."""
