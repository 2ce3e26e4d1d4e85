"""One platform for all seeds; each seed plays the loop in a project of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import prepare
import pytest

from capstan_client.platform.home import Home
from capstan_client.sdk import Capstan
from capstan_testkit.platform import running_platform


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seeds 12`, or `--seed 7` to see one again."""
    parser.addoption("--seeds", type=int, default=3, help="how many seeded moments")
    parser.addoption("--seed", type=int, default=None, help="this seed only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per seed."""
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed")
        seeds = [one] if one is not None else list(range(metafunc.config.getoption("--seeds")))
        metafunc.parametrize("seed", seeds)


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The year as batches (about 5 s)."""
    folder = tmp_path_factory.mktemp("batches")
    prepare.prepare(folder)
    return folder


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running platform (about 5 s)."""
    with running_platform(tmp_path_factory.mktemp("platform")) as home:
        yield home


@pytest.fixture
async def capstan(platform: Home, seed: int) -> AsyncIterator[Capstan]:
    """Clients for the seed's own project."""
    async with Capstan.connect(platform.folder, project=f"seed-{seed}") as clients:
        yield clients
