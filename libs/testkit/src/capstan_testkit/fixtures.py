"""pytest's plugin of the platform: the fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

import pytest

from capstan_testkit.harness import DATABASES
from capstan_testkit.postgres import NoPostgres, Postgres, postgres
from capstan_testkit.required import missing
from capstan_testkit.settings import without_reaper

if TYPE_CHECKING:
    from capstan_testkit.containers import NatsServer, PostgresServer, S3Server

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database postgres`: every service that a test starts in its own process, and gives no database, uses it."""
    parser.addoption("--database", choices=("sqlite", "postgres"), default="sqlite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.both_databases`: the test runs twice, and the harness takes the other database the second time."""
    if metafunc.definition.get_closest_marker("both_databases") is not None:
        metafunc.parametrize("_usual_database", ["sqlite", "postgres"], indirect=True)


@pytest.fixture(autouse=True)
def _usual_database(request: pytest.FixtureRequest) -> Iterator[None]:
    if getattr(request, "param", request.config.getoption("--database")) == "sqlite":
        yield
        return
    DATABASES.make = request.getfixturevalue("new_postgres")
    yield
    DATABASES.make = None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for all tests. Where there can be none the test is skipped; in CI it fails."""
    try:
        with postgres() as server:
            yield server
    except NoPostgres as error:
        missing(str(error), "postgres")


@pytest.fixture
def new_postgres(postgres_server: Postgres) -> Iterator[Callable[[], str]]:
    """Makes empty databases; each call gives the URL of another one."""
    made: list[str] = []

    def create() -> str:
        made.append(postgres_server.create())
        return made[-1]

    yield create
    for url in made:
        postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """For `running(..., database_url=...)`: the test runs twice. Empty means SQLite below the service's home."""
    if request.param == "sqlite":
        return ""
    create: Callable[[], str] = request.getfixturevalue("new_postgres")
    return create()


def _part(name: str, *given: object) -> Iterator[T]:
    """One container for the whole session. Where there is no engine the tests are skipped; in CI they fail."""
    without_reaper()
    # The container clients take most of a second to import, and few runs need them.
    from capstan_testkit import containers  # noqa: PLC0415

    start: Callable[..., AbstractContextManager[T]] = getattr(containers, name)
    try:
        with start(*given) as part:
            yield part
    except containers.NoContainers as error:
        missing(str(error))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a real Redis. Its database 0 is shared by all tests: use a project of your own."""
    yield from _part("redis_server")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server with a bucket that is shared by all tests: use a prefix of your own."""
    yield from _part("s3_server")


@pytest.fixture(scope="session")
def nats_in_container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A real broker of the public image; its streams are shared by all tests."""
    yield from _part("nats_container", tmp_path_factory.mktemp("nats"))


@pytest.fixture(scope="session")
def postgres_in_container() -> Iterator[PostgresServer]:
    """A real PostgreSQL over TCP with a password."""
    yield from _part("postgres_container")
