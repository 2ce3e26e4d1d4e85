"""`python -m capstan_feature_store serve | worker | migrate`."""

from __future__ import annotations

from capstan_feature_store.app import build
from capstan_feature_store.settings import Settings
from capstan_servicekit.http.serve import main

if __name__ == "__main__":
    main(Settings, build)  # type: ignore[arg-type]
