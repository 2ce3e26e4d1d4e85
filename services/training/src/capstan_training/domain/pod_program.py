"""What the service and the program of a run's pod agree on: names of variables, exit statuses."""

from __future__ import annotations

from typing import Final

URL: Final = "CAPSTAN_RUN_URL"
TOKEN: Final = "CAPSTAN_RUN_TOKEN"
SCRATCH: Final = "CAPSTAN_RUN_SCRATCH"

MADE: Final = 0
SAID_WHY: Final = 3
"""It ended without a package, and has handed in why."""
STOPPED: Final = 143
"""It was asked to stop (SIGTERM)."""
KILLED: Final = 137
"""A process of it was killed, by nobody knows whom."""
