"""What ingestion does: one verb per file."""
