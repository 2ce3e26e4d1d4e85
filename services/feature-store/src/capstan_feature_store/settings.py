"""Settings of the feature store."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from capstan_servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the feature store needs beyond the common settings."""

    SERVICE: ClassVar[str] = "feature-store"

    online_store_url: SecretStr = Field(
        default=SecretStr(""),
        description="redis://[:password@]host:6379/0 (rediss:// with TLS); empty: files below home",
    )
    join_memory_mb: int = Field(default=1024, ge=64, description="DuckDB's memory in a job; beyond it spills to disk")
    join_threads: int = Field(default=2, ge=1, le=64)
    job_timeout_s: float = Field(default=900, gt=0)
    check_timeout_s: float = Field(
        default=60, gt=0, description="limit of a check or an explanation that a caller waits for"
    )
    online_older_rows: int = Field(
        default=3,
        ge=0,
        le=1000,
        description="rows of an entity that are kept online beside the one that answers now and all that are ahead;"
        " a read for a moment before them says `unknown`",
    )
    max_online_rows: int = Field(default=10_000, ge=1, description="rows of one online read")

    @field_validator("online_store_url")
    @classmethod
    def _a_redis(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return value

    @property
    def online_folder(self) -> Path:
        """Where the online store lies: one folder per project."""
        return self.home / "online"
