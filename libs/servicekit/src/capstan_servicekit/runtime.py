"""The parts that every service stands on, made from its settings, and the service as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter

from capstan_servicekit.bus.inbox import Inbox, Subscriptions
from capstan_servicekit.bus.memory import MemoryBus
from capstan_servicekit.bus.nats import NatsBus
from capstan_servicekit.bus.outbox import Outbox, Relay
from capstan_servicekit.bus.port import Bus
from capstan_servicekit.clock import Clock, SystemClock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotReady
from capstan_servicekit.home import diagnose_room
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.folder import FolderObjectStore
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.peers import Peers
from capstan_servicekit.security.auth import Principals
from capstan_servicekit.settings import ServiceSettings
from capstan_servicekit.tasks import stop
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.work.kinds import AnyWork
from capstan_servicekit.work.loop import WorkLoop
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)


Check = Callable[[], Awaitable[str | None]]
"""None when the part is there; else a sentence that says what is missing."""


@dataclass
class Kit:
    """Adapters of the chassis. Tests replace single parts."""

    service: str
    settings: ServiceSettings
    clock: Clock
    metrics: Metrics
    database: Database
    bus: Bus
    objects: ObjectStore
    principals: Principals
    outbox: Outbox
    work: WorkQueue
    jobs: JobPool
    peers: Peers
    checks: Mapping[str, Check] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> Kit:
        """The real parts. Nothing is opened yet."""
        service, clock = settings.SERVICE, SystemClock()
        bus: Bus = (
            MemoryBus()
            if settings.bus_url == "memory:"
            else NatsBus(settings.bus_url, service=service, password=settings.bus_password.get_secret_value())
        )
        objects, checks = _object_store(settings)
        database = Database(settings.database_url)
        principals = Principals(settings.principals_file or Path("missing"))
        return cls(
            service=service,
            settings=settings,
            clock=clock,
            metrics=Metrics(service),
            database=database,
            bus=bus,
            objects=objects,
            principals=principals,
            outbox=Outbox(clock),
            work=WorkQueue(clock),
            jobs=JobPool(
                settings.job_pythons,
                settings.home / "scratch" / service,
                memory_mb=settings.job_memory_mb,
                idle_s=settings.job_idle_s,
            ),
            peers=Peers(settings),
            checks={
                "database": database.check,
                "home": _room(settings),
                "principals": _known(principals),
                **checks,
            },  # fmt: skip
        )


def _object_store(settings: ServiceSettings) -> tuple[ObjectStore, dict[str, Check]]:
    if not settings.object_store_url:
        return FolderObjectStore(settings.home / "objects"), {}
    from capstan_servicekit.objects.s3 import S3ObjectStore  # noqa: PLC0415 - a laptop need not load the S3 client

    store = S3ObjectStore.from_settings(settings)
    return store, {"object store": store.check}


def _room(settings: ServiceSettings) -> Check:
    async def check() -> str | None:
        return await asyncio.to_thread(diagnose_room, settings.home)

    return check


def _known(principals: Principals) -> Check:
    async def check() -> str | None:
        problem = principals.look()
        return None if principals.loaded else problem

    return check


async def _for_ever(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a background loop; one that breaks is reported and started again. One that returns is done."""
    pause = 0.5
    while True:
        try:
            await loop()
        except Exception as error:
            if (what := _unavailable(error)) is not None:
                log.warning("loop.waiting", loop=name, what=what)
                await asyncio.sleep(1)
                continue
            log.exception("loop.broke", loop=name, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30)
        else:
            return


def _unavailable(error: BaseException) -> str | None:
    """What is away, when that is all that went wrong: it is no fault of the loop, and needs no trace."""
    if isinstance(error, BaseExceptionGroup):
        return next((_unavailable(one) for one in error.exceptions), None) if error.split(NotReady)[1] is None else None
    return error.detail if isinstance(error, NotReady) else None


@dataclass
class Service:
    """A composed service: routes and subscriptions, background work, checks."""

    kit: Kit
    routers: Sequence[APIRouter]
    subscriptions: Subscriptions = field(default_factory=lambda: Subscriptions({}))
    work: Sequence[AnyWork] = ()
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    uploads: str = ""
    """Regular expression over paths whose body is streamed: their limit is `max_upload_bytes`."""

    def __post_init__(self) -> None:
        kit = self.kit
        self.relay = Relay(kit.database, kit.bus, kit.clock, kit.metrics)
        self.inbox = Inbox(kit.service, kit.database, kit.bus, self.subscriptions, kit.clock, kit.metrics)
        self.loop = WorkLoop(kit.database, self.work, kit.clock, kit.metrics, lease_s=kit.settings.lease_s)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the background loops."""
        loops = {
            "bus": self._bus_loops, "work": self.loop.run,
            **{getattr(task, "__qualname__", repr(task)): task for task in self.tasks},
        }  # fmt: skip
        self._tasks = [asyncio.create_task(_for_ever(name, loop), name=name) for name, loop in loops.items()]

    async def _bus_loops(self) -> None:
        await self.kit.bus.connect()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.relay.run())
            group.create_task(self.inbox.run())

    async def stop(self) -> None:
        """Stop the loops and close everything; open work is taken up again after the next start."""
        await stop(self._tasks)
        for close in (
            *self.closers,
            self.kit.jobs.close,
            self.kit.bus.close,
            self.kit.peers.close,
            self.kit.database.close,
        ):
            with suppress(OSError, TimeoutError):
                await close()

    def warnings(self) -> list[str]:
        """What is wrong although the service can serve."""
        problem = self.kit.principals.look()
        return [f"principals: {problem}"] if problem is not None and self.kit.principals.loaded else []

    async def missing(self) -> list[str]:
        """What is not there yet; empty when the service can serve."""
        checks = {"event bus": self.kit.bus.check, **self.kit.checks, **self.checks}
        sentences = await asyncio.gather(*(check() for check in checks.values()))
        return [f"{name}: {sentence}" for name, sentence in zip(checks, sentences, strict=True) if sentence is not None]
