"""What monitoring does: one verb per file."""
