"""Watches predictions, drift and late labels, and asks for a retrain when the evidence holds."""
