"""What engines raise besides PackageError, which names a place and a rule in the package."""

from __future__ import annotations


class EngineError(RuntimeError):
    """The engine is unknown, broken or not installed, refused a call, or the predictor is closed; a sentence."""
