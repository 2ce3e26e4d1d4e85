"""Settings of the training service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from capstan_servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beside the common ones: caps of recipe archives and logs, and patience with neighbours."""

    SERVICE: ClassVar[str] = "training"

    max_code_bytes: int = Field(default=32 << 20, ge=1024, description="the largest recipe archive")
    compile_timeout_s: float = Field(default=120, gt=0)
    compile_wait_s: float = Field(default=20, gt=0, description="how long a loop part waits for its code to compile")
    features_timeout_s: float = Field(default=3600, gt=0, description="how long a run waits for its training set")
    poll_s: float = Field(default=0.5, gt=0, description="between two looks at a training set or at a log")
    log_bytes: int = Field(default=32 << 20, ge=4096, description="the most that is kept of a run's log")
