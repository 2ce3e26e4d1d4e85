"""`python -m capstan_registry serve | worker | migrate | serve-mlflow`."""

from __future__ import annotations

from capstan_registry.app import build, serve_mlflow
from capstan_registry.settings import Settings
from capstan_servicekit.http.serve import main

if __name__ == "__main__":
    main(Settings, build, {"serve-mlflow": serve_mlflow})  # type: ignore[arg-type]
