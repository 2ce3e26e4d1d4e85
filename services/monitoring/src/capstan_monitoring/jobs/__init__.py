"""Heavy work: sketches, verdict figures, live quality, reports. Runs in worker processes."""
