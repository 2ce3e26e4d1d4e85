"""A real PostgreSQL for tests: one server on a unix socket, and an empty database for each that asks."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

_OPTIONS = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "shared_buffers": "16MB", "max_connections": "60", "max_wal_size": "256MB",
}  # fmt: skip


class NoPostgres(Exception):
    """There is no server that can run here; the text says what was tried."""


@dataclass
class Postgres:
    """A running server. Its databases live as long as it does, unless they are dropped."""

    folder: Path
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def create(self) -> str:
        """SQLAlchemy's URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name}")
        return f"postgresql+asyncpg://postgres@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove a database that nobody needs any more."""
        self._administer(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            self._administer("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def _administer(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(host=str(self.folder), user="postgres", database="postgres")
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        # A thread has an event loop of its own: the caller may be within one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, run()).result(30)


def _binaries() -> Iterator[Path]:
    """Folders with `postgres` and `initdb`: of the wheel pgserver, then of Debian, then of the path."""
    spec = importlib.util.find_spec("pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield Path(place) / "pginstall" / "bin"
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda directory: float(directory.parent.name), reverse=True)
    if (executable := shutil.which("postgres")) is not None:
        yield Path(executable).resolve().parent


def _user() -> str | None:
    """Whom the server runs as: PostgreSQL refuses to run as root, so somebody without rights is taken instead."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in users), None)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server in a folder of its own (about a second) and stop it at the end. NoPostgres when none can run."""
    user, tried = _user(), []
    # Below the system's folder, not the test's: the path of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="capstan-pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        for binaries in _binaries():
            try:
                server = _start(binaries, folder, user)
            except (OSError, subprocess.SubprocessError, NoPostgres) as error:
                tried.append(f"{binaries}: {error}")
                shutil.rmtree(folder / "data", ignore_errors=True)
                continue
            try:
                yield server
            finally:
                _stop(server.process)
            return
        raise NoPostgres(
            "no PostgreSQL can run here: " + ("; ".join(tried) or "neither pgserver nor a server is there")
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(binaries: Path, folder: Path, user: str | None) -> Postgres:
    data, log = folder / "data", folder / "log"
    who = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    made = subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
         "--no-sync", "--no-instructions"],
        capture_output=True, text=True, timeout=60, check=False, cwd=folder, env=environment, **who,  # type: ignore[call-overload]
    )  # fmt: skip
    if made.returncode:
        raise NoPostgres(f"initdb failed: {made.stderr.strip()[-500:]}")
    options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), "-k", str(folder), *options],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder, env=environment, **who,  # type: ignore[call-overload]
        )  # fmt: skip
    server = Postgres(folder, process)
    until = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < until:
        if server.ready():
            return server
        time.sleep(0.05)
    _stop(process)
    raise NoPostgres(f"the server did not start: {log.read_text('utf-8', 'replace').strip()[-500:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
