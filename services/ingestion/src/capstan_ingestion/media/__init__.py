"""How rows are written in files: one medium per file, and what files come packed in."""
