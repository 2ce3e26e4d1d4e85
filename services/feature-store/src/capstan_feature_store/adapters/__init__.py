"""Outside systems behind ports."""
