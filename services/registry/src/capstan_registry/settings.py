"""What the registry needs to know of its surroundings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from capstan_servicekit.settings import ServiceSettings, inherited_environment

__all__ = ["Settings", "mlflow_environment"]


class Settings(ServiceSettings):
    """Settings of the registry: `CAPSTAN_REGISTRY_<FIELD>`, else `CAPSTAN_<FIELD>`."""

    SERVICE = "registry"

    mlflow_url: str = Field(default="", description="an MLflow server that runs by itself; empty: started when needed")
    mlflow_idle_s: float = Field(default=600, gt=0, description="an MLflow server unused for so long is stopped")
    mlflow_start_s: float = Field(default=180, gt=0, description="patience with an MLflow server that starts")
    gates_timeout_s: float = Field(default=900, gt=0)
    resamples: int = Field(default=2000, ge=1000, description="bootstrap resamples of a champion gate")

    @property
    def mlflow_home(self) -> Path:
        """Database, artifacts and log of the MLflow server."""
        return self.home / "mlflow"


def mlflow_environment() -> dict[str, str]:
    """The environment of the MLflow server: no telemetry, no job runner, nothing of ours."""
    return inherited_environment() | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONWARNINGS": "ignore",
    }
