"""`python -m capstan_registry serve | worker | migrate`."""

from __future__ import annotations

from capstan_registry.app import build
from capstan_registry.settings import Settings
from capstan_servicekit.serve import main

if __name__ == "__main__":
    main(Settings, build)  # type: ignore[arg-type]
