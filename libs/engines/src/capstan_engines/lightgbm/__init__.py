"""Engine `lightgbm`: LightGBM models in text form, through LightGBM's C library."""
