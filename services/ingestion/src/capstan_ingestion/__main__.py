"""`python -m capstan_ingestion serve | worker | migrate`."""

from __future__ import annotations

from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_servicekit.http.serve import main

if __name__ == "__main__":
    main(Settings, build)
