"""What is said of a deployment whose model has no champion yet, wherever it is shown. Standard library only."""

from __future__ import annotations

WAITS = "waits for its first champion"
HINT = "A deployment answers once a version of its model has passed the gates and was promoted."
