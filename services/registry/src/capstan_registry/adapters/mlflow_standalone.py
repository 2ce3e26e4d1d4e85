"""MLflow's server as a process of its own beside the registry: `python -m capstan_registry serve-mlflow`.

For a place where it always runs, such as a second container of the registry's pod. It still listens on a Unix socket,
which both containers share and nothing else can reach.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from capstan_registry.adapters.mlflow_process import job_python, server_command
from capstan_registry.settings import Settings, mlflow_environment


def serve_mlflow() -> None:
    """Become MLflow's server; does not return."""
    settings = Settings()
    if not settings.mlflow_url.startswith("unix://"):
        sys.exit(
            "serve-mlflow: CAPSTAN_REGISTRY_MLFLOW_URL must be unix:///<path of the socket> here and in the registry: "
            "MLflow has no authentication of its own and so gets no port"
        )
    socket = Path(settings.mlflow_url.removeprefix("unix://"))
    settings.mlflow_home.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.unlink(missing_ok=True)
    python = job_python(settings)
    os.execve(python, server_command(python, socket), mlflow_environment(settings))
