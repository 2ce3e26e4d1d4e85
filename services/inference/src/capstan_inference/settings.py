"""Settings of the inference service; the model server gets its part of them from the control."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from capstan_servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Fields of its own: the model server's door, its bounds and its log."""

    SERVICE: ClassVar[str] = "inference"

    model_server_host: str = "127.0.0.1"
    model_server_port: int = Field(default=7110, ge=0, le=65535, description="0: a free one")
    model_server_fd: int | None = Field(
        default=None, ge=3, description="an inherited listening socket: connections wait in it while a part restarts"
    )
    model_server_url: str = Field(default="", description="base address for clients; empty: that of the socket")
    model_max_body_bytes: int = Field(default=8 << 20, ge=1024)
    model_max_rows: int = Field(default=5000, ge=1, le=100_000)
    model_max_waiting: int = Field(default=256, ge=1, description="requests in hand; beyond, 503 with Retry-After")
    model_deadline_s: float = Field(default=10, gt=0, description="the header capstan-deadline-ms may shorten it")
    segment_bytes: int = Field(default=8 << 20, ge=4096)
    segment_age_s: float = Field(default=10, gt=0)
