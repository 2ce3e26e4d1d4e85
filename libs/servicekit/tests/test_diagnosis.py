"""What a process says when a data service, the home folder or a setting is wrong: one sentence, and no trace."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from capstan_servicekit.bus.__main__ import ensure
from capstan_servicekit.bus.nats import NatsBus
from capstan_servicekit.bus.nats_config import ADMINISTRATOR
from capstan_servicekit.clock import SystemClock
from capstan_servicekit.db.diagnosis import DatabaseUnusable
from capstan_servicekit.db.migrate import upgrade
from capstan_servicekit.db.session import Database
from capstan_servicekit.db.tables import KitBase
from capstan_servicekit.errors import NotReady
from capstan_servicekit.home import diagnose_home, diagnose_room
from capstan_servicekit.peers import Peers
from capstan_servicekit.settings import BusAdminSettings, ServiceSettings
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.work.kinds import WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.loop import WorkLoop
from capstan_servicekit.work.outcomes import AWAY_ATTEMPTS
from capstan_servicekit.work.queue import WorkQueue
from capstan_testkit.broker import broker, free_port, nats_server
from capstan_testkit.postgres import Postgres
from capstan_testkit.toy_work import Toil, TwoAttempts

if TYPE_CHECKING:
    from capstan_testkit.containers import NatsServer, PostgresServer

MIGRATIONS = "capstan_ingestion.migrations"


class ToySettings(ServiceSettings):
    SERVICE = "ingestion"


def run(home: Path, verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The process entry of a real service."""
    environment = {"PATH": os.environ["PATH"], "CAPSTAN_HOME": str(home), "CAPSTAN_BUS_URL": "memory:", **variables}
    return subprocess.run(
        [sys.executable, "-m", "capstan_ingestion", verb],
        capture_output=True, text=True, timeout=50, check=False, env=environment, cwd="/",
    )  # fmt: skip


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in result.stderr + result.stdout
    return result.stderr.strip().splitlines()[-1]


# -- settings and home


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CAPSTAN_DATABASE_URL", "postgres://u:geheim@h/d", "must begin with postgresql+asyncpg://"),
        ("CAPSTAN_OBJECT_STORE_URL", "gs://geheim", "CAPSTAN_OBJECT_STORE_URL: "),
        ("CAPSTAN_INGESTION_PORT", "geheim", "CAPSTAN_PORT: "),
        ("CAPSTAN_PEERS", "geheim", "JSON"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(tmp_path: Path, variable: str, value: str, words: str) -> None:
    result = run(tmp_path, "serve", **{variable: value})
    assert result.returncode == 1
    assert words in last_line(result) and "geheim" not in result.stderr


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "home", "serve")
    assert result.returncode == 1
    assert last_line(result).startswith("ingestion: cannot write to ") and "CAPSTAN_HOME" in last_line(result)


def test_a_full_or_read_only_home_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnose_home(tmp_path) is None and diagnose_room(tmp_path) is None
    real = os.statvfs(tmp_path)
    full = os.statvfs_result([1 if index == 4 else value for index, value in enumerate(real)])
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    sentence = diagnose_home(tmp_path)
    assert sentence is not None and "is full" in sentence and "CAPSTAN_HOME" in sentence
    read_only = os.statvfs_result([value | os.ST_RDONLY if index == 8 else value for index, value in enumerate(real)])
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    sentence = diagnose_room(tmp_path)
    assert sentence is not None and "is read-only" in sentence


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a read-only file system that is always there")
def test_a_read_only_file_system_is_named() -> None:
    sentence = diagnose_home(Path("/proc/capstan"))
    assert sentence is not None and sentence.startswith("cannot write to /proc/capstan: ")


# -- the database


@pytest.mark.integration
def test_wrong_databases_are_sentences_at_once(new_postgres: Callable[[], str], postgres_server: Postgres) -> None:
    new_postgres()
    missing = f"postgresql+asyncpg://postgres@/nowhere?host={postgres_server.folder}"
    started = time.monotonic()
    with pytest.raises(DatabaseUnusable, match="has no database 'nowhere'; create it or name another in CAPSTAN_"):
        upgrade(missing, MIGRATIONS, patience_s=30)
    assert time.monotonic() - started < 10


@pytest.mark.integration
def test_migrate_waits_for_the_database_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(DatabaseUnusable, match="cannot be reached; does it run, and is CAPSTAN_DATABASE_URL right"):
        upgrade(f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/d", MIGRATIONS, patience_s=1.5, tell=told.append)
    assert len(told) == 1 and told[0].startswith("waiting: the database at 127.0.0.1:")


def test_waiting_for_a_database_ends_with_sigterm(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"], "CAPSTAN_HOME": str(tmp_path), "CAPSTAN_BUS_URL": "memory:",
        "CAPSTAN_DATABASE_URL": f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/d",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "capstan_ingestion", "serve"], env=environment, cwd="/",
        stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "cannot be reached" in line and "CAPSTAN_DATABASE_URL" in line
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=20)[0]
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in rest


@pytest.mark.containers
def test_credentials_are_named_and_not_told(postgres_in_container: PostgresServer, tmp_path: Path) -> None:
    wrong = postgres_in_container.url(password="geheim")
    result = run(tmp_path, "migrate", CAPSTAN_DATABASE_URL=wrong)
    assert result.returncode == 1
    assert "refuses user 'postgres'; set CAPSTAN_DATABASE_URL" in last_line(result)
    assert "geheim" not in result.stderr + result.stdout


@pytest.mark.containers
def test_two_migrations_at_once_are_one(postgres_in_container: PostgresServer, tmp_path: Path) -> None:
    url, results = postgres_in_container.create(), list[subprocess.CompletedProcess[str]]()

    def migrate(number: int) -> None:
        results.append(run(tmp_path / str(number), "migrate", CAPSTAN_DATABASE_URL=url))

    threads = [threading.Thread(target=migrate, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.returncode for result in results] == [0, 0], [result.stderr for result in results]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_database_of_a_newer_release_is_left_alone(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'db.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("new_postgres")()
    await asyncio.to_thread(upgrade, url, MIGRATIONS)
    database, told = Database(url), list[str]()
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    await asyncio.to_thread(upgrade, url, MIGRATIONS, tell=told.append)
    assert len(told) == 1 and "revision 9999 of a newer release" in told[0]
    async with database.engine.connect() as connection:
        row = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).fetchone()
    assert row is not None and row[0] == "9999"
    await database.close()


async def test_a_database_that_is_away_is_not_ready_and_not_an_internal_error() -> None:
    database = Database(f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/d")
    with pytest.raises(NotReady, match="CAPSTAN_DATABASE_URL"):
        async with database.read():
            pass
    with pytest.raises(NotReady, match="CAPSTAN_DATABASE_URL"):
        async with database.write():
            pass
    sentence = await database.check()
    assert sentence is not None and "cannot be reached" in sentence
    await database.close()


@pytest.mark.integration
async def test_a_connection_that_is_ended_under_a_statement_is_not_ready(new_postgres: Callable[[], str]) -> None:
    database, other = Database(new_postgres()), None
    with pytest.raises(NotReady):
        async with database.write() as session:
            pid = (await (await session.connection()).exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
            other = Database(str(database.url))
            async with other.engine.connect() as connection:
                await connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            await (await session.connection()).exec_driver_sql("SELECT 1")
    assert await database.check() is None  # it comes back by itself
    await database.close()
    if other is not None:
        await other.close()


async def test_an_error_of_the_caller_stays_one(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'd.db'}")
    with pytest.raises(FileNotFoundError):
        async with database.read():
            raise FileNotFoundError("a file of the caller's")
    await database.close()


# -- the broker


@pytest.mark.integration
class TestBus:
    async def test_the_streams_are_made_once_and_again(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with broker(tmp_path) as running:
            settings = BusAdminSettings(
                bus_url=running.url, bus_admin_password=SecretStr(running.passwords[ADMINISTRATOR])
            )
            await ensure(settings)
            await ensure(settings)
        assert capsys.readouterr().out.count("the streams are there") == 2

    async def test_wrong_credentials_end_it_at_once(self, tmp_path: Path) -> None:
        async with broker(tmp_path) as running:
            started = time.monotonic()
            with pytest.raises(SystemExit, match="refuses user 'platform'; set CAPSTAN_BUS_ADMIN_PASSWORD") as ended:
                await ensure(BusAdminSettings(bus_url=running.url, bus_admin_password=SecretStr("geheim")))
            assert time.monotonic() - started < 10 and "geheim" not in str(ended.value)

    async def test_no_jetstream_and_no_broker_are_told(
        self, without_jetstream: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="has no JetStream; start nats-server with -js"):
            await ensure(BusAdminSettings(bus_url=without_jetstream, bus_wait_s=0))
        nobody = f"nats://127.0.0.1:{free_port()}"
        with pytest.raises(SystemExit, match="cannot be reached; does it run, and is CAPSTAN_BUS_URL right"):
            await ensure(BusAdminSettings(bus_url=nobody, bus_wait_s=1.2))
        assert capsys.readouterr().err.count("waiting") == 1

    @pytest.fixture
    async def without_jetstream(self) -> AsyncIterator[str]:
        port = free_port()
        process = subprocess.Popen(  # noqa: ASYNC220
            [nats_server(), "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"
        process.terminate()
        process.wait(10)

    async def test_readiness_says_what_is_wrong_with_the_broker(self, tmp_path: Path, without_jetstream: str) -> None:
        async with broker(tmp_path) as running:
            good = running.bus("ingestion")
            await good.connect()
            assert await good.check() is None
            await good.close()
            await self.says(
                "refuses user 'ingestion'; set CAPSTAN_BUS_PASSWORD",
                NatsBus(running.url, service="ingestion", password="wrong"),
            )
        plain = NatsBus(without_jetstream, service="ingestion", password="")
        await plain.connect()
        assert "has no JetStream" in str(await plain.check())
        await plain.close()
        nobody = NatsBus(f"nats://127.0.0.1:{free_port()}", service="ingestion", password="")
        await self.says("cannot be reached", nobody)

    async def says(self, words: str, bus: NatsBus) -> None:
        """It comes to say so while it tries to connect for ever."""
        connecting = asyncio.create_task(bus.connect())
        try:
            async with asyncio.timeout(20):
                while words not in str(await bus.check()):  # noqa: ASYNC110 - tried four times a second
                    await asyncio.sleep(0.1)
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)


@pytest.mark.containers
async def test_readiness_with_the_public_broker_image(nats_in_container: NatsServer) -> None:
    bus = nats_in_container.bus("ingestion")
    await bus.connect()
    assert await bus.check() is None
    await bus.close()


# -- calls to other services, and patience


class FailingPeer:
    """Another service: fails as told, then answers."""

    def __init__(self, *failures: type[httpx.TransportError] | int) -> None:
        self.failures, self.calls = list(failures), 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if not self.failures:
            return httpx.Response(200, json={})
        failure = self.failures.pop(0)
        if isinstance(failure, int):
            return httpx.Response(failure, json={"title": "x", "status": failure, "code": "not-ready"})
        raise failure("as told")


@pytest.mark.parametrize(
    ("method", "key", "failure", "calls"),
    [
        ("POST", None, httpx.ConnectError, 2), ("POST", None, httpx.ConnectTimeout, 2),
        ("POST", None, httpx.ReadTimeout, 1), ("POST", None, httpx.ReadError, 1), ("POST", None, 503, 1),
        ("POST", None, httpx.RemoteProtocolError, 1), ("PATCH", None, httpx.WriteError, 1),
        ("POST", "k", httpx.ReadTimeout, 2), ("POST", "k", 503, 2),
        ("GET", None, httpx.ReadTimeout, 2), ("PUT", None, httpx.ReadError, 2), ("DELETE", None, 503, 2),
    ],
)  # fmt: skip
async def test_what_may_have_been_done_is_not_asked_for_again(
    method: str, key: str | None, failure: type[httpx.TransportError] | int, calls: int, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    peer = FailingPeer(failure)
    peers = Peers(ToySettings(home=tmp_path, token_file=token), httpx.MockTransport(peer))
    if calls == 1:
        with pytest.raises(NotReady):
            await peers.request("registry", method, "/v1/x", body="{}", key=key)
    else:
        assert (await peers.request("registry", method, "/v1/x", body="{}", key=key)).status_code == 200
    assert peer.calls == calls
    await peers.close()


async def test_work_is_not_given_up_while_a_part_is_away(tmp_path: Path) -> None:
    database, clock, attempts = Database(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}"), SystemClock(), list[int]()
    async with database.engine.begin() as connection:
        await connection.run_sync(KitBase.metadata.create_all)
    done = asyncio.Event()

    async def do(item: WorkItem[Toil], lease: Lease) -> None:
        attempts.append(item.attempt)
        if item.attempt < 4:
            raise NotReady("the object store is away")
        async with lease.finish():
            done.set()

    loop = WorkLoop(database, [TwoAttempts(do)], clock, Metrics("ingestion"))
    async with database.write() as session:
        await WorkQueue(clock).add(session, Toil("one"), project="default")
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(20):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert attempts == [1, 2, 3, 4] and AWAY_ATTEMPTS > 2
    await database.close()
