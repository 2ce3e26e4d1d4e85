"""Rules of monitoring: windows, drift verdicts, the retrain guard, join keys."""
