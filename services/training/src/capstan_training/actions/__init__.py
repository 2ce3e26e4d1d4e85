"""What the training service does, one file per verb."""
