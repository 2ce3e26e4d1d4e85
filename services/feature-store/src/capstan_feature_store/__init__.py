"""Point-in-time features for training, the same features online for serving."""
