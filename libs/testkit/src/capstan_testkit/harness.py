"""A service inside the test: real lifespan and database, memory bus, one HTTP client per kind of caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from capstan_contracts.events import EVENTS, Envelope, Event, bus_subject, payload
from capstan_contracts.ids import SERVICES, Urn
from capstan_servicekit.bus.memory import MemoryBus
from capstan_servicekit.db.migrate import upgrade
from capstan_servicekit.db.tables import OutboxRow
from capstan_servicekit.http.app import create_app
from capstan_servicekit.http.serve import migrations_package
from capstan_servicekit.peers import Peers
from capstan_servicekit.runtime import Kit, Service
from capstan_servicekit.security.auth import new_token, token_digest, write_secret
from capstan_servicekit.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
E = TypeVar("E", bound=Event)
PeerHandler = Callable[[httpx.Request], httpx.Response]

ROLES: Mapping[str, tuple[str, dict[str, str]]] = {
    "admin": ("user", {"default": "admin"}),
    "operator": ("user", {"default": "operator"}),
    "viewer": ("user", {"default": "viewer"}),
    "foreign": ("user", {"elsewhere": "admin"}),
    "service": ("service", {"*": "service"}),
}


class Databases:
    """Which database a service gets that is not told one: SQLite below its home, or what `make` makes for the home."""

    def __init__(self) -> None:
        self.make: Callable[[], str] | None = None
        self._made: dict[Path, str] = {}

    def url(self, home: Path) -> str:
        """The same for the same home: a restart finds its rows."""
        if self.make is None:
            return ""
        return self._made.get(home) or self._made.setdefault(home, self.make())


DATABASES = Databases()


def write_principals(file: Path) -> dict[str, str]:
    """A principals file with one principal per role; their tokens by name."""
    tokens = {name: new_token() for name in ROLES}
    entries = [
        {"id": f"test-{name}", "kind": kind, "roles": roles, "token_sha256": token_digest(tokens[name])}
        for name, (kind, roles) in ROLES.items()
    ]
    write_secret(file, json.dumps({"principals": entries}))
    return tokens


def repository_root() -> Path:
    """The checkout that this test kit lies in."""
    return next(parent for parent in Path(__file__).resolve().parents if (parent / "Makefile").exists())


def job_pythons() -> dict[str, str]:
    """Interpreters of the job groups that are installed in the checkout."""
    pythons = {python.parents[1].name: str(python) for python in (repository_root() / ".venvs").glob("*/bin/python")}
    return {"platform": str(repository_root() / ".venv" / "bin" / "python"), **pythons}


@dataclass
class Harness:
    """A running service and its callers."""

    service_: Service
    app: FastAPI
    kit: Kit
    bus: MemoryBus
    home: Path
    tokens: dict[str, str]
    admin: httpx.AsyncClient
    operator: httpx.AsyncClient
    viewer: httpx.AsyncClient
    foreign: httpx.AsyncClient
    service: httpx.AsyncClient
    anonymous: httpx.AsyncClient

    async def publish(self, event: Event, *, project: str = "default", subject: Urn) -> Envelope:
        """Put an event on the bus, as another service would."""
        envelope = event.envelope(project=project, subject=str(subject))
        await self.deliver(envelope)
        return envelope

    async def deliver(self, envelope: Envelope) -> None:
        """Put this very envelope on the bus, past the broker's deduplication: a redelivery."""
        body = envelope.model_dump_json().encode()
        self._deliveries = getattr(self, "_deliveries", 0) + 1
        subject = bus_subject(envelope.project, envelope.type)
        await self.bus.publish(subject, body, message_id=f"{envelope.id}-{self._deliveries}")

    def published(self, kind: type[E]) -> list[tuple[Envelope, E]]:
        """What the service published, in order."""
        events: list[tuple[Envelope, E]] = []
        for subject, body in self.bus.log:
            if subject.endswith(kind.TYPE) and self.kit.service == EVENTS[kind.TYPE].SERVICE:
                envelope = Envelope.model_validate_json(body)
                event = payload(envelope)
                assert isinstance(event, kind)
                events.append((envelope, event))
        return events

    async def relayed(self, kind: type[E]) -> list[tuple[Envelope, E]]:
        """`published`, once nothing waits in the outbox: who sees a state may be ahead of its events."""

        async def empty() -> bool:
            async with self.kit.database.read() as session:
                return not await session.scalar(select(func.count()).where(OutboxRow.published_at.is_(None)))

        await self.until(empty)
        return self.published(kind)

    async def until(self, condition: Callable[[], Awaitable[Any]], timeout: float = 20) -> Any:
        """Wait until the condition is true; its value."""
        async with asyncio.timeout(timeout):
            while not (value := await condition()):  # noqa: ASYNC110 - the condition may be in another process
                await asyncio.sleep(0.05)
            return value


def _no_peer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503, json={"title": "not there", "status": 503, "code": "not-ready"})


@asynccontextmanager
async def running(
    settings_type: type[S],
    build: Callable[[S], Service],
    home: Path,
    *,
    peers: PeerHandler = _no_peer,
    pythons: dict[str, str] | None = None,
    bus: MemoryBus | None = None,
    compose: Callable[[Kit, S], Service] | None = None,
    **fields: Any,
) -> AsyncIterator[Harness]:
    """Start the service on `home` and stop it at the end. Pass the same home and bus again for a restart.

    `compose(kit, settings)` is used instead of `build` when given, so that peers and bus can be replaced before the
    service's own adapters are made.
    """
    secrets = home / "secrets"
    tokens_file = secrets / "tokens.json"
    if tokens_file.exists():
        tokens: dict[str, str] = json.loads(tokens_file.read_text())
    else:
        tokens = write_principals(secrets / "principals.json")
        write_secret(tokens_file, json.dumps(tokens))
        for name in SERVICES:
            write_secret(secrets / f"{name}.token", tokens["service"])
    fields.setdefault("hosts", {"testserver"})
    fields.setdefault("database_url", DATABASES.url(home))
    settings = settings_type(
        home=home,
        bus_url="memory:",
        job_pythons=pythons if pythons is not None else job_pythons(),
        lease_s=2,
        **fields,
    )
    await asyncio.to_thread(_migrate, settings)
    memory = bus or MemoryBus()
    service = _make(settings, build, compose, memory, httpx.MockTransport(peers))
    app = create_app(service)
    async with app.router.lifespan_context(app):
        clients = {name: _client(app, token) for name, token in tokens.items()} | {"anonymous": _client(app, None)}
        try:
            yield Harness(service, app, service.kit, memory, home, tokens, **clients)
        finally:
            for client in clients.values():
                await client.aclose()


_MIGRATED: dict[tuple[Callable[[str, str], None], str], bytes] = {}
"""An SQLite file as a way to migrate leaves it, per package of migrations. Made once per test session, then copied."""


def _migrate(settings: ServiceSettings) -> None:
    url, made = make_url(settings.database_url), (upgrade, migrations_package(settings.SERVICE))
    file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    if file is not None and made in _MIGRATED and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_MIGRATED[made])
        return
    fresh = file is not None and not file.exists()
    upgrade(settings.database_url, migrations_package(settings.SERVICE))
    if file is not None and fresh and not file.with_name(f"{file.name}-wal").exists():
        _MIGRATED[made] = file.read_bytes()


def _make(
    settings: S,
    build: Callable[[S], Service],
    compose: Callable[[Kit, S], Service] | None,
    bus: MemoryBus,
    transport: httpx.MockTransport,
) -> Service:
    original = Kit.from_settings

    def replaced(given: ServiceSettings) -> Kit:
        kit = original(given)
        kit.bus, kit.peers = bus, Peers(given, transport)
        return kit

    if compose is not None:
        return compose(replaced(settings), settings)
    Kit.from_settings = staticmethod(replaced)  # type: ignore[method-assign, assignment]
    try:
        return build(settings)
    finally:
        Kit.from_settings = original  # type: ignore[method-assign]


def _client(app: FastAPI, token: str | None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers, timeout=60)
