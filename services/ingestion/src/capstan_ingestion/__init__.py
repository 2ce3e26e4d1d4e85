"""Turns sources into checked, versioned datasets; keeps what fails in quarantine."""
