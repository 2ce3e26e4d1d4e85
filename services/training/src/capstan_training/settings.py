"""Settings of the training service."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from capstan_servicekit.settings import ServiceSettings, kind_of

EXECUTORS_GROUP: Final = "capstan.executors"


class Settings(ServiceSettings):
    """Beside the common ones: caps of recipe archives and logs, patience with neighbours, and where pipelines run."""

    SERVICE: ClassVar[str] = "training"

    max_code_bytes: int = Field(default=32 << 20, ge=1024, description="the largest recipe archive")
    compile_timeout_s: float = Field(default=120, gt=0)
    compile_wait_s: float = Field(default=20, gt=0, description="how long a loop part waits for its code to compile")
    features_timeout_s: float = Field(default=3600, gt=0, description="how long a run waits for its training set")
    poll_s: float = Field(default=0.5, gt=0, description="between two looks at a training set or at a log")
    log_bytes: int = Field(default=32 << 20, ge=4096, description="the most that is kept of a run's log")

    trust_recipes: bool = Field(
        default=False,
        description="take recipes of several people and projects on a machine whose kernel cannot keep them apart",
    )
    executor: Annotated[str, kind_of(EXECUTORS_GROUP)] = Field(
        default="local", description="where pipelines run: local, kubernetes, or another that is installed"
    )
    run_namespace: str = Field(default="", description="where run Jobs are made; empty: this pod's own namespace")
    run_image: str = Field(default="", description="the training service's own image, for run pods")
    run_image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    run_service_account: str = Field(default="", description="without rights; empty: the namespace's default")
    run_callback_url: str = Field(default="", description="base URL of this service as run pods reach it")
    run_owner: str = Field(default="", description="the Helm release, for the label app.kubernetes.io/instance")
    run_cpu_request_share: float = Field(
        default=1, gt=0, le=1, description="of a run's cpu, what is set aside for it on a node; the limit is the whole"
    )
    run_start_patience_s: float = Field(
        default=60, gt=0, description="how long a run pod that cannot start, without its image say, is given"
    )

    @property
    def own_urls(self) -> tuple[str, ...]:
        """As peers reach it, and as pods of runs do."""
        return (*super().own_urls, *([self.run_callback_url] if self.run_callback_url else []))

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.executor == "kubernetes":
            missing = [name for name in ("run_image", "run_callback_url") if not getattr(self, name)]
            if missing:
                names = ", ".join(f"CAPSTAN_TRAINING_{name.upper()}" for name in missing)
                raise ValueError(f"the executor kubernetes needs {names}")
        return self
