"""Real parts in containers, by testcontainers: PostgreSQL, Redis, an S3 server, a broker."""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import redis
from docker.errors import DockerException  # type: ignore[import-untyped]
from docker.types import Mount  # type: ignore[import-untyped]
from nats.aio.client import Client
from testcontainers.core.container import DockerContainer

from capstan_contracts.ids import SERVICES
from capstan_servicekit.bus.nats import DEAD_STREAM, STREAM, NatsBus, ensure_streams
from capstan_servicekit.bus.nats_config import ADMINISTRATOR, render
from capstan_servicekit.objects.bucket import S3Bucket

POSTGRES, REDIS, NATS, S3 = "postgres:15", "redis:7", "nats:2.15-alpine", "versity/versitygw:v1.8.0"
READY_S = 40


class NoContainers(Exception):
    """There is no container engine, or the image is not there; the text says which."""


def _container(image: str) -> DockerContainer:
    """A container to be; the library looks for the engine here already."""
    try:
        return DockerContainer(image)
    except DockerException as error:
        why = str(error)[:300]
    with warnings.catch_warnings():  # the client leaves its socket open, and some later test would be blamed for it
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    raise NoContainers(f"there is no container engine for {image}: {why}")


@contextmanager
def _running(container: DockerContainer, port: int) -> Iterator[tuple[str, int]]:
    """Start a container, give host and port, remove it at the end."""
    try:
        container.with_exposed_ports(port).start()
    except DockerException as error:
        raise NoContainers(f"{container.image} cannot be started in a container: {str(error)[:300]}") from error
    try:
        number = int(container.get_exposed_port(port))
        yield _reachable((container.get_container_host_ip(), "127.0.0.1"), number, container), number
    finally:
        container.stop()


def _reachable(hosts: tuple[str, ...], port: int, container: DockerContainer) -> str:
    """Where the published port can be reached: an engine beside us publishes on loopback, even if we are in a box."""
    reachable: list[str] = []

    def listening() -> bool:
        for host in hosts:
            with suppress(OSError), socket.create_connection((host, port), timeout=1):
                reachable.append(host)
                return True
        return False

    _until(listening, f"port {port}", container)
    return reachable[0]


def _until(ready: Callable[[], bool], what: str, container: DockerContainer) -> None:
    until = time.monotonic() + READY_S
    while not ready():
        if time.monotonic() > until:
            out, err = container.get_logs()
            raise NoContainers(f"{what} is not ready after {READY_S} s: {(out + err)[-500:]!r}")
        time.sleep(0.1)


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis with a password; its URL."""
    password = secrets.token_hex(8)
    container = _container(REDIS).with_command(f"redis-server --requirepass {password} --save '' --appendonly no")
    with _running(container, 6379) as (host, port):
        client = redis.Redis(host=host, port=port, password=password, socket_timeout=2)

        def ready() -> bool:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

        _until(ready, "redis", container)
        client.close()
        yield f"redis://:{password}@{host}:{port}/0"


@dataclass(frozen=True)
class S3Server:
    """An S3 server with the bucket `capstan`, and its root credentials."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str = "capstan"

    def settings(self, prefix: str = "") -> dict[str, Any]:
        """Fields for a service's settings."""
        return {
            "object_store_url": f"s3://{self.bucket}" + (f"/{prefix}" if prefix else ""),
            "s3_endpoint": self.endpoint,
            "s3_access_key_id": self.access_key_id,
            "s3_secret_access_key": self.secret_access_key,
        }

    def open(self, prefix: str = "", **overrides: str) -> S3Bucket:
        """The bucket, or with overrides (url, endpoint, access_key_id, secret_access_key) something near it."""
        given = {
            "url": f"s3://{self.bucket}/{prefix}", "endpoint": self.endpoint, "region": "us-east-1",
            "access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key, **overrides,
        }  # fmt: skip
        return S3Bucket(**given, patience_s=2)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A Versity S3 gateway on its own file system. A folder below /data is a bucket there."""
    key, secret = "capstan-test", secrets.token_hex(16)
    # A volume of its own: the gateway keeps metadata in extended attributes, which the layers of an image may not have.
    container = _container(S3).with_kwargs(mounts=[Mount("/data", None)])
    environment = {
        "ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret, "VGW_BACKEND": "posix", "VGW_BACKEND_ARG": "/data",
    }  # fmt: skip
    for name, value in environment.items():
        container.with_env(name, value)
    with _running(container, 7070) as (host, port):
        server = S3Server(f"http://{host}:{port}", key, secret)

        def ready() -> bool:
            try:
                container.exec(["mkdir", "-p", f"/data/{server.bucket}"])
            except DockerException:
                return False
            return asyncio.run(server.open().diagnosis()) is None

        _until(ready, "the S3 server", container)
        yield server


@dataclass(frozen=True)
class NatsServer:
    """A broker with the platform's accounts and streams."""

    url: str
    passwords: dict[str, str]

    def bus(self, service: str) -> NatsBus:
        """A connection with the credentials of a service."""
        return NatsBus(self.url, service=service, password=self.passwords[service])

    async def empty(self) -> None:
        """Streams without messages, and without memory of their ids; consumers are gone as well."""
        client = Client()
        await client.connect(self.url, user=ADMINISTRATOR, password=self.passwords[ADMINISTRATOR])
        for stream in (STREAM, DEAD_STREAM):
            await client.jetstream().delete_stream(stream)
        await client.close()
        await ensure_streams(self.url, user=ADMINISTRATOR, password=self.passwords[ADMINISTRATOR])


@contextmanager
def nats_container(folder: Path) -> Iterator[NatsServer]:
    """A nats-server with the platform's own configuration, which is written below `folder`."""
    passwords = {name: secrets.token_hex(8) for name in (*SERVICES, ADMINISTRATOR)}
    config = folder / "nats.conf"
    config.write_text(
        render(host="0.0.0.0", port=4222, store=Path("/tmp/store"), passwords=passwords, pid_file=Path("/tmp/nats.pid"))
    )
    container = _container(NATS).with_command("-c /etc/capstan/nats.conf")
    container.with_volume_mapping(str(folder), "/etc/capstan", "ro")
    with _running(container, 4222) as (host, port):
        url = f"nats://{host}:{port}"

        def ready() -> bool:
            try:
                asyncio.run(ensure_streams(url, user=ADMINISTRATOR, password=passwords[ADMINISTRATOR]))
            except Exception:  # noqa: BLE001 - whatever it is: not ready
                return False
            return True

        _until(ready, "the broker", container)
        yield NatsServer(url, passwords)


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL reached over TCP with a password, as on a cluster."""

    host: str
    port: int
    password: str

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        """SQLAlchemy's URL."""
        return f"postgresql+asyncpg://{user}:{password or self.password}@{self.host}:{self.port}/{database}"

    def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{secrets.token_hex(6)}"

        async def make() -> None:
            connection = await asyncpg.connect(self.url().replace("+asyncpg", ""))
            try:
                await connection.execute(f"CREATE DATABASE {name}")
            finally:
                await connection.close()

        asyncio.run(make())
        return self.url(name)


@contextmanager
def postgres_container() -> Iterator[PostgresServer]:
    """A PostgreSQL server, ready for connections from outside."""
    password = secrets.token_hex(8)
    container = _container(POSTGRES).with_env("POSTGRES_PASSWORD", password)
    with _running(container, 5432) as (host, port):
        server = PostgresServer(host, port, password)

        def ready() -> bool:
            async def ask() -> None:
                await (await asyncpg.connect(server.url().replace("+asyncpg", ""), timeout=2)).close()

            try:
                asyncio.run(ask())
            except (OSError, TimeoutError, asyncpg.PostgresError):
                return False
            return True

        _until(ready, "PostgreSQL", container)
        yield server
