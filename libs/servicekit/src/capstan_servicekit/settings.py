"""Settings shared by every service: frozen, typed, read once. The only reader of the environment in this package.

A field is read from `CAPSTAN_<SERVICE>_<FIELD>`, else from `CAPSTAN_<FIELD>`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind

LOCAL_PORTS = {
    "ingestion": 7101,
    "feature-store": 7102,
    "training": 7103,
    "registry": 7104,
    "inference": 7105,
    "monitoring": 7106,
}
OBJECT_STORE_PATTERN = r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?)?$"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def kind_of(group: str) -> AfterValidator:
    """The annotation of a setting that names a kind of a family. The kind is imported: a broken one is named here."""

    def check(name: str) -> str:
        try:
            Family[object](group).get(name)
        except (UnknownKind, BrokenKind) as error:
            raise ValueError(str(error)) from None
        return name

    return AfterValidator(check)


class ServiceSettings(BaseSettings):
    """What every service needs to know of its surroundings. Without any variable it is a laptop in `~/.capstan`."""

    SERVICE: ClassVar[str]

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    home: Path = Field(default_factory=lambda: Path.home() / ".capstan", description="the folder that holds all state")
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: the service's usual port")
    hosts: frozenset[str] = Field(
        default=frozenset(),
        description="further names under which the service is reached, those of an ingress say; a request for another "
        "name is refused",
    )
    database_url: str = Field(default="", description="SQLAlchemy async URL; empty: SQLite under home/db")
    bus_url: str = Field(default="nats://127.0.0.1:7122", description="NATS; `memory:` for a process on its own")
    bus_password: SecretStr = SecretStr("")
    object_store_url: str = Field(
        default="", pattern=OBJECT_STORE_PATTERN, description="s3://bucket[/prefix]; empty: a folder below home"
    )
    s3_endpoint: str = Field(
        default="", pattern=r"^(https?://[^/\s]+/?)?$", description="base URL of the S3 server; empty: Amazon's"
    )
    s3_region: str = "us-east-1"
    s3_access_key_id: str = Field(default="", description="empty: what the machine or pod is allowed by itself")
    s3_secret_access_key: SecretStr = SecretStr("")
    object_cache_bytes: int = Field(
        default=4 << 30, ge=1 << 20, description="bound of the files fetched from S3 that are kept below home"
    )
    principals_file: Path | None = Field(default=None, description="who may call; empty: home/secrets/principals.json")
    token_file: Path | None = Field(
        default=None, description="this service's own token; empty: home/secrets/<service>.token"
    )
    peers: dict[str, str] = Field(default_factory=dict, description="base URL of each service, by name")
    job_pythons: dict[str, str] = Field(default_factory=dict, description="interpreter of each job group, by name")
    job_memory_mb: int = Field(default=4096, ge=128)
    job_idle_s: float = Field(default=30, gt=0)
    max_body_bytes: int = Field(default=1 << 20, ge=1024)
    max_upload_bytes: int = Field(default=2 << 30, ge=1024)
    header_timeout_s: float = Field(default=10, gt=0, description="how long the header of a request may take to come")
    body_timeout_s: float = Field(
        default=30, gt=0, description="how long a body may pause; after so long it comes at 1 KiB a second or more"
    )
    max_connections_per_peer: int = Field(
        default=512, ge=1, description="connections at a time from one address; an ingress counts as one"
    )
    log_json: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    lease_s: float = Field(default=10, gt=0, description="a worker that is silent for so long has lost its work")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the service's own variables, then the common ones."""
        own = f"CAPSTAN_{cls.SERVICE.upper().replace('-', '_')}_"
        return (
            init_settings,
            EnvSettingsSource(settings_cls, env_prefix=own),
            EnvSettingsSource(settings_cls, env_prefix="CAPSTAN_"),
        )

    @model_validator(mode="after")
    def _fill(self) -> Self:
        fill = object.__setattr__  # the model is frozen for everybody else
        if self.port == 0:
            fill(self, "port", LOCAL_PORTS.get(self.SERVICE, 0))
        if not self.database_url:
            fill(self, "database_url", f"sqlite+aiosqlite:///{self.home / 'db' / f'{self.SERVICE}.db'}")
        if self.principals_file is None:
            fill(self, "principals_file", self.home / "secrets" / "principals.json")
        if self.token_file is None:
            fill(self, "token_file", self.home / "secrets" / f"{self.SERVICE}.token")
        return self

    @field_validator("database_url")
    @classmethod
    def _a_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ValueError("must begin with postgresql+asyncpg:// or sqlite+aiosqlite:///")
        return value

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK

    @property
    def own_urls(self) -> tuple[str, ...]:
        """Base URLs under which the platform itself reaches this service."""
        return (self.peer(self.SERVICE),)

    def peer(self, service: str) -> str:
        """Base URL of another service."""
        return self.peers.get(service) or f"http://127.0.0.1:{LOCAL_PORTS[service]}"


class BusAdminSettings(BaseSettings):
    """What `python -m capstan_servicekit.bus` needs; no service has the administrator's password."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="CAPSTAN_")

    bus_url: str = "nats://127.0.0.1:7122"
    bus_admin_user: str = "platform"
    bus_admin_password: SecretStr = SecretStr("")
    bus_replicas: int = Field(default=1, ge=1, le=5, description="copies of each message; needs as many brokers")
    bus_wait_s: float = Field(default=60, ge=0, description="patience with a broker that is not there yet")


def wrong_settings(error: ValidationError | SettingsError, service: str = "") -> str:
    """Wrong settings as one line that names each variable and its rule, without the value: it may be a secret."""
    if isinstance(error, SettingsError):
        return f"wrong settings: {error}; maps and lists are written as JSON"
    own = f" (or CAPSTAN_{service.upper().replace('-', '_')}_...)" if service else ""
    found = [
        f"CAPSTAN_{str(one['loc'][0]).upper()}: {one['msg']}" if one["loc"] else one["msg"] for one in error.errors()
    ]
    return f"wrong settings{own}: " + "; ".join(found)


def enter_environment(values: dict[str, str]) -> None:
    """Put variables into this process's environment: for a forked process that is about to read its settings."""
    os.environ.update(values)


def inherited_environment(*names: str) -> dict[str, str]:
    """The named variables that are set, and the few without which no child process works."""
    wanted = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", *names)
    return {name: os.environ[name] for name in wanted if name in os.environ}
