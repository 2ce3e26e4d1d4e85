"""Settings of the monitoring service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from capstan_servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """`CAPSTAN_MONITORING_*`."""

    SERVICE: ClassVar[str] = "monitoring"

    max_body_bytes: int = Field(default=16 << 20, ge=1024, description="room for the most labels in one request")
    lateness_s: float = Field(
        default=3600, ge=0, description="how far behind the newest prediction, in event time, one more may still come"
    )
    report_rows: int = Field(default=2000, ge=100, description="rows of each side in a report for people")
