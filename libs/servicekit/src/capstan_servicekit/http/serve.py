"""Process entry of a service: `python -m capstan_<service> serve | worker | migrate`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from capstan_servicekit.db.diagnosis import DatabaseUnusable
from capstan_servicekit.db.migrate import upgrade
from capstan_servicekit.home import diagnose_home
from capstan_servicekit.http.app import create_app
from capstan_servicekit.http.senders import LimitedServer, SenderLimits, limited
from capstan_servicekit.http.sockets import NoPort, listening_socket
from capstan_servicekit.runtime import Service
from capstan_servicekit.settings import ServiceSettings, wrong_settings
from capstan_servicekit.telemetry.logs import configure_logging, logger

Build = Callable[[ServiceSettings], Service]
log = logger(__name__)


def migrations_package(service: str) -> str:
    """Where a service keeps its alembic revisions."""
    return f"capstan_{service.replace('-', '_')}.migrations"


DATABASE_WAIT_S = 60.0


def prepare(settings: ServiceSettings) -> None:
    """Home and database, with a minute's patience for the database. SystemExit says in a sentence what is wrong."""
    if (sentence := diagnose_home(settings.home)) is not None:
        raise SystemExit(f"{settings.SERVICE}: {sentence}")
    with _ending_on_sigterm():
        try:
            upgrade(
                settings.database_url,
                migrations_package(settings.SERVICE),
                patience_s=DATABASE_WAIT_S,
                tell=lambda sentence: log.warning("database.not_ready", what=sentence),
            )
        except DatabaseUnusable as error:
            raise SystemExit(f"{settings.SERVICE}: {error}") from None


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """The first process of a container is not ended by SIGTERM unless it says so; who waits should be."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(
    settings: ServiceSettings, build: Build, sock: socket.socket | None = None, *, parent: int | None = None
) -> None:
    """Migrate and serve until SIGTERM. With `parent`, also until that process is gone.

    `sock` is a listening socket of the caller's; without one, one is made on the host and port of the settings.
    Refuses to listen to other machines while nobody is named who may call. SystemExit says what is wrong.
    """
    configure_logging(service=settings.SERVICE, json=settings.log_json, level=settings.log_level)
    if not settings.loopback and not (settings.principals_file and settings.principals_file.exists()):
        raise SystemExit(
            f"{settings.SERVICE}: refusing to listen on {settings.host} without a principals file "
            f"({settings.principals_file}); create it or bind to 127.0.0.1"
        )
    prepare(settings)
    app = create_app(build(settings))
    try:
        sock = sock or listening_socket(settings.host, settings.port)
    except NoPort as error:
        raise SystemExit(
            f"{settings.SERVICE}: {error.strerror}. Another program has it, or CAPSTAN_HOST is not an address of this "
            f"machine; choose another port with CAPSTAN_{settings.SERVICE.upper().replace('-', '_')}_PORT."
        ) from None
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=limited(
            SenderLimits(
                header_s=settings.header_timeout_s,
                body_s=settings.body_timeout_s,
                connections_per_peer=settings.max_connections_per_peer,
            )
        ),  # fmt: skip
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = LimitedServer(config)
    asyncio.run(_until_done(server, sock, parent))


def work(settings: ServiceSettings, build: Build) -> None:
    """Run the background loops without the HTTP API, until SIGTERM."""
    configure_logging(service=settings.SERVICE, json=settings.log_json, level=settings.log_level)
    prepare(settings)

    async def run() -> None:
        service, stop = build(settings), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await service.start()
        await stop.wait()
        await service.stop()

    asyncio.run(run())


async def _until_done(server: uvicorn.Server, sock: socket.socket, parent: int | None) -> None:
    watch = asyncio.create_task(_follow(server, parent)) if parent is not None else None
    await server.serve(sockets=[sock])
    if watch is not None:
        watch.cancel()


async def _follow(server: uvicorn.Server, parent: int) -> None:
    """Stop when the supervising process is gone: no orphan keeps a port or a database."""
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel has no event for this that works everywhere
        await asyncio.sleep(0.5)
    log.warning("parent.gone")
    server.should_exit = True


def main(
    settings_type: type[ServiceSettings], build: Build, extra: dict[str, Callable[[], None]] | None = None
) -> None:
    """The command line of a service; `extra` are further verbs."""
    service = settings_type.SERVICE
    parser = argparse.ArgumentParser(
        prog=f"python -m capstan_{service.replace('-', '_')}", description=f"Capstan {service}"
    )
    verbs = {
        "serve": "answer HTTP and events",
        "worker": "background work only",
        "migrate": "bring the database up to date",
    }
    commands = parser.add_subparsers(dest="verb", required=True)
    for verb in (*verbs, *(extra or {})):
        commands.add_parser(verb, help=verbs.get(verb, verb))
    verb = parser.parse_args().verb
    if extra and verb in extra:
        extra[verb]()
        return
    try:
        settings = settings_type()
    except (ValidationError, SettingsError) as error:
        raise SystemExit(f"{service}: {wrong_settings(error, service)}") from None
    if verb == "migrate":
        configure_logging(service=service, json=settings.log_json, level=settings.log_level)
        prepare(settings)
        log.info("database.migrated")
    elif verb == "worker":
        work(settings, build)
    else:
        serve(settings, build)
