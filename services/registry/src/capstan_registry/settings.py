"""What the registry needs to know of its surroundings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from capstan_servicekit.settings import ServiceSettings, inherited_environment

__all__ = ["Settings", "mlflow_environment"]


class Settings(ServiceSettings):
    """Settings of the registry: `CAPSTAN_REGISTRY_<FIELD>`, else `CAPSTAN_<FIELD>`."""

    SERVICE = "registry"

    mlflow_url: str = Field(
        default="",
        pattern=r"^(|https?://.+|unix:///.+)$",
        description="an MLflow that runs by itself (http://host:port or unix:///its.sock); empty: started when needed",
    )
    mlflow_store_url: SecretStr = Field(
        default=SecretStr(""),
        description="serve-mlflow: URL of MLflow's database; empty: SQLite in its home",
    )
    mlflow_artifacts: str = Field(default="", description="serve-mlflow: s3://bucket/prefix; empty: a folder")
    mlflow_idle_s: float = Field(default=600, gt=0, description="an MLflow server unused for so long is stopped")
    mlflow_start_s: float = Field(default=180, gt=0, description="patience with an MLflow server that starts")
    gates_timeout_s: float = Field(default=900, gt=0)
    resamples: int = Field(default=2000, ge=1000, description="bootstrap resamples of a champion gate")

    @property
    def mlflow_home(self) -> Path:
        """Database, artifacts and log of the MLflow server."""
        return self.home / "mlflow"


_S3 = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "MLFLOW_S3_ENDPOINT_URL")


def mlflow_environment(settings: Settings) -> dict[str, str]:
    """The environment of the MLflow server: no telemetry, no job runner, of ours only where it keeps its things.

    The database's address has a password in it, so it does not go onto a command line, which everybody may read.
    """
    home = settings.mlflow_home
    return inherited_environment(*_S3) | {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_store_url.get_secret_value() or f"sqlite:///{home / 'mlflow.db'}",
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifacts or str(home / "artifacts"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONWARNINGS": "ignore",
    }
