"""What the inference service does: one file per verb."""
