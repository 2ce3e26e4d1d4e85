"""Settings of ingestion."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from capstan_servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """What ingestion needs beyond the common settings."""

    SERVICE: ClassVar[str] = "ingestion"

    allow_pull_hosts: frozenset[str] = Field(
        default=frozenset(), description="hosts that may be pulled from although their address is an inner one"
    )
    max_columns: int = Field(default=2000, ge=1, description="columns that a batch may have")
    max_failing_rows: int = Field(default=1000, ge=1, description="failing rows kept per batch")
    max_table_bytes: int = Field(default=2 << 30, ge=1024, description="size of a batch once it is decompressed")
    check_timeout_s: float = Field(default=900, gt=0)
