"""Settings of the inference service; the model server gets its part of them from the control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from capstan_servicekit.settings import ServiceSettings, kind_of

MODEL_SERVERS_GROUP: Final = "capstan.model_servers"


class Settings(ServiceSettings):
    """Fields of its own: the model server's address, its bounds and its log."""

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
    model_probe_s: float = Field(
        default=1,
        gt=0,
        description="how often the model server is asked for its status; readiness tells of a later answer",
    )
    model_silent_limit_s: float = Field(
        default=5, gt=0, description="a model server that is silent for so long and does nothing is replaced"
    )
    model_busy_limit_s: float = Field(
        default=60, gt=0, description="the same for one that is busy, or that waits for a processor"
    )
    segment_bytes: int = Field(default=8 << 20, ge=4096)
    segment_age_s: float = Field(default=10, gt=0)

    online_store_url: SecretStr = Field(
        default=SecretStr(""), description="redis://[:password@]host:6379/0; empty: files below home"
    )
    model_servers: Annotated[str, kind_of(MODEL_SERVERS_GROUP)] = Field(
        default="child",
        description="child: a process beside the control; kubernetes: a Deployment and a Service per deployment; or "
        "another that is installed",
    )
    model_namespace: str = Field(default="", description="namespace of model servers; empty: the pod's own")
    model_image: str = Field(default="", description="image of model servers: that of this service")
    model_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    model_service_account: str = Field(default="", description="one without any right; empty: the namespace's default")
    model_replicas: int = Field(default=1, ge=1, le=100)
    model_cpu: str = Field(
        default="100m/1", description="request/limit; one alone is the request, and the limit is 1 or the same"
    )
    model_memory: str = Field(default="192Mi/512Mi", description="request/limit, or one for both")
    model_principals_secret: str = Field(default="", description="Secret with the key principals.json")
    model_token_secret: str = Field(default="", description="Secret with the key token: the model servers' identity")
    data_secret: str = Field(default="", description="Secret whose key online-store-url model servers get")
    model_owner: str = Field(default="capstan", description="release that they belong to: app.kubernetes.io/instance")
    control_url: str = Field(default="", description="base address of this service as model servers' pods reach it")
    model_rollout_s: float = Field(default=300, gt=0, description="a version that is not ready by then is taken back")
    model_drain_s: float = Field(default=6, ge=0, description="a pod answers on for so long after it was told to end")
    model_segment_age_s: float = Field(default=5, gt=0, description="what a forced deletion may lose at most")
    model_heartbeat_s: float = Field(default=1, gt=0)
    model_silent_s: float = Field(default=10, gt=0, description="a server whose pod is gone is lost after this silence")
    model_resync_s: float = Field(default=2, gt=0, description="how often the cluster is compared with what should be")


class PodSettings(BaseSettings):
    """What the host in a model server's pod is told, by the template that the control wrote: `CAPSTAN_POD_<FIELD>`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="CAPSTAN_POD_")

    server: str = Field(description="the pod's name")
    placement: str = Field(description="what it serves, and nothing else: JSON, from an annotation of the pod")
    control_url: str
    limits: dict[str, Any] = Field(description="bounds of the data plane")
    token_file: Path = Path("/etc/capstan/identity/token")
    principals_file: Path = Path("/etc/capstan/principals/principals.json")
    home: Path = Field(default=Path("/var/lib/capstan"), description="a volume that outlives the container")
    termination_log: Path = Path("/dev/termination-log")
    host: str = "0.0.0.0"
    port: int = 7110
    online_store_url: SecretStr = Field(default=SecretStr(""), description="empty: files below the home folder")
    drain_s: float = 6
    ship_s: float = Field(default=30, description="patience with a control that is away when the pod ends")
    heartbeat_s: float = 1
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
