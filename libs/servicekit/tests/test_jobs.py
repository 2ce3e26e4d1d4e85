"""The worker pool: results, refusals, crashes, limits, and no process left behind."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from capstan_servicekit.errors import InvalidData, Overloaded
from capstan_servicekit.jobs import pool as pool_module
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobFailed, JobOutOfMemory, JobPool, JobTimedOut

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Parts:
    """As the service knows them; the worker's are in toy_jobs."""

    left: int
    right: int


@dataclass(frozen=True)
class Unequal:
    left: int


def workers() -> set[int]:
    """Children of this process, workers or not yet; those that have ended and were not waited for among them."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@pytest.fixture
async def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[JobPool]:
    """A pool whose workers can import this folder."""
    monkeypatch.chdir(Path(__file__).parent)  # `python -m` puts the working folder on the path
    made = JobPool({"toy": sys.executable}, tmp_path, idle_s=0.5)
    yield made
    await made.close()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_a_warm_worker_answers_with_progress_and_without_secrets(pool: JobPool, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []

    async def progress(done: int, total: int, message: str) -> None:
        told.append((done, total, message))

    first = await pool.run("toy", "toy_jobs:double", {"value": 4}, scratch=tmp_path, progress=progress)
    second = await pool.run("toy", "toy_jobs:double", {"value": 5}, scratch=tmp_path)
    assert (first["value"], second["value"], first["leaked"]) == (8, 10, False)
    assert first["pid"] == second["pid"] != os.getpid()
    assert told == [(1, 2, "half")]


async def test_a_job_gets_and_makes_what_both_ends_have_declared(pool: JobPool, tmp_path: Path) -> None:
    swap = JobKind("toy", "toy_jobs:swap", Parts, Parts)
    assert await pool.call(swap, Parts(1, 2), scratch=tmp_path) == Parts(2, 1)
    with pytest.raises(JobFailed, match="right"):
        await pool.call(JobKind("toy", "toy_jobs:swap", Unequal, Parts), Unequal(1), scratch=tmp_path)


async def test_a_refusal_is_the_callers_error_and_names_place_and_rule(pool: JobPool, tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        await pool.run("toy", "toy_jobs:refuse", {}, scratch=tmp_path)
    assert caught.value.errors[0].place == "file"


@pytest.mark.parametrize("function", ["crash", "die"])
async def test_a_failure_is_told_and_the_next_job_runs(pool: JobPool, tmp_path: Path, function: str) -> None:
    with pytest.raises(JobFailed):
        await pool.run("toy", f"toy_jobs:{function}", {}, scratch=tmp_path)
    assert (await pool.run("toy", "toy_jobs:double", {"value": 1}, scratch=tmp_path))["value"] == 2


async def test_time_and_memory_are_limited(pool: JobPool, tmp_path: Path) -> None:
    with pytest.raises(JobTimedOut):
        await pool.run("toy", "toy_jobs:sleep", {"seconds": 30}, scratch=tmp_path, timeout_s=1)
    with pytest.raises(JobOutOfMemory):
        await pool.run("toy", "toy_jobs:hoard", {}, scratch=tmp_path, memory_mb=200)


async def test_a_cancelled_call_kills_its_worker(pool: JobPool, tmp_path: Path) -> None:
    call = asyncio.create_task(pool.run("toy", "toy_jobs:sleep", {"seconds": 60}, scratch=tmp_path))
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - made by another process
            await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await pool.close()
    assert not alive(int((tmp_path / "pid").read_text() or 0))


@pytest.mark.parametrize("pause_s", [0, 0.001, 0.01, 0.1, 0.5])
async def test_no_worker_is_left_whenever_a_call_was_cancelled(pool: JobPool, tmp_path: Path, pause_s: float) -> None:
    before = workers()
    call = asyncio.create_task(pool.run("toy", "toy_jobs:sleep", {"seconds": 60}, scratch=tmp_path))
    await asyncio.sleep(pause_s)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await pool.close()
    assert workers() <= before


async def test_an_idle_worker_goes_away(pool: JobPool, tmp_path: Path) -> None:
    pid = (await pool.run("toy", "toy_jobs:double", {"value": 1}, scratch=tmp_path))["pid"]
    async with asyncio.timeout(10):
        while alive(pid):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Overloaded, match="not installed") as caught:
        await JobPool({"x": "/nowhere/python"}, tmp_path).run("x", "a:b", {}, scratch=tmp_path)
    assert "make" in caught.value.hint


def test_group_memory_counts_this_group() -> None:
    assert pool_module._group_memory(os.getpgid(0)) > 10 << 20
