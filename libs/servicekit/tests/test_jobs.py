"""The worker pool: results, refusals, crashes, limits, and no process left behind."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from capstan_servicekit.errors import InvalidData, Overloaded
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.box import tree
from capstan_servicekit.jobs.pool import JobFailed, JobOutOfMemory, JobOverQuota, JobPool, JobTimedOut

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


def below() -> set[int]:
    """All processes below this one."""
    return set(tree.below(os.getpid()))


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[JobPool]:
    """A pool whose workers can import this folder."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={Path(__file__).parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = JobPool({"toy": str(python)}, tmp_path, idle_s=0.5)
    yield made
    await made.close()


async def test_a_warm_worker_answers_with_progress_and_without_secrets(pool: JobPool, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []

    async def progress(done: int, total: int, message: str) -> None:
        told.append((done, total, message))

    first = await pool.run(
        "toy", "toy_jobs:double", {"value": 4}, project="default", scratch=tmp_path, progress=progress
    )
    worker = workers()
    second = await pool.run("toy", "toy_jobs:double", {"value": 5}, project="default", scratch=tmp_path)
    assert (first["value"], second["value"], first["leaked"]) == (8, 10, False)
    assert workers() == worker
    assert told == [(1, 2, "half")]


async def test_a_job_gets_and_makes_what_both_ends_have_declared(pool: JobPool, tmp_path: Path) -> None:
    swap = JobKind("toy", "toy_jobs:swap", Parts, Parts)
    assert await pool.call(swap, Parts(1, 2), project="default", scratch=tmp_path) == Parts(2, 1)
    with pytest.raises(JobFailed, match="right"):
        await pool.call(
            JobKind("toy", "toy_jobs:swap", Unequal, Parts), Unequal(1), project="default", scratch=tmp_path
        )


async def test_a_refusal_is_the_callers_error_and_names_place_and_rule(pool: JobPool, tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        await pool.run("toy", "toy_jobs:refuse", {}, project="default", scratch=tmp_path)
    assert caught.value.errors[0].place == "file"


@pytest.mark.parametrize("function", ["crash", "die"])
async def test_a_failure_is_told_and_the_next_job_runs(pool: JobPool, tmp_path: Path, function: str) -> None:
    with pytest.raises(JobFailed):
        await pool.run("toy", f"toy_jobs:{function}", {}, project="default", scratch=tmp_path)
    assert (await pool.run("toy", "toy_jobs:double", {"value": 1}, project="default", scratch=tmp_path))["value"] == 2


async def test_time_and_memory_are_limited(pool: JobPool, tmp_path: Path) -> None:
    with pytest.raises(JobTimedOut):
        await pool.run("toy", "toy_jobs:sleep", {"seconds": 30}, project="default", scratch=tmp_path, timeout_s=1)
    with pytest.raises(JobOutOfMemory):
        await pool.run("toy", "toy_jobs:hoard", {}, project="default", scratch=tmp_path, memory_mb=200)


async def test_a_cancelled_call_kills_its_worker(pool: JobPool, tmp_path: Path) -> None:
    before = below()
    call = asyncio.create_task(pool.run("toy", "toy_jobs:sleep", {"seconds": 60}, project="default", scratch=tmp_path))
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - made by another process
            await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await pool.close()
    assert below() <= before


@pytest.mark.parametrize("pause_s", [0, 0.001, 0.01, 0.1, 0.5])
async def test_no_worker_is_left_whenever_a_call_was_cancelled(pool: JobPool, tmp_path: Path, pause_s: float) -> None:
    before = workers()
    call = asyncio.create_task(pool.run("toy", "toy_jobs:sleep", {"seconds": 60}, project="default", scratch=tmp_path))
    await asyncio.sleep(pause_s)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await pool.close()
    assert workers() <= before


async def test_an_idle_worker_goes_away(pool: JobPool, tmp_path: Path) -> None:
    before = below()
    await pool.run("toy", "toy_jobs:double", {"value": 1}, project="default", scratch=tmp_path)
    assert below() > before
    async with asyncio.timeout(10):
        while not below() <= before:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_no_descendant_outlives_its_job(pool: JobPool, tmp_path: Path) -> None:
    await pool.run("toy", "toy_jobs:double", {"value": 1}, project="default", scratch=tmp_path)
    worker = below()
    await pool.run("toy", "toy_jobs:escape", {"megabytes": 1, "seconds": 0}, project="default", scratch=tmp_path)
    assert below() == worker
    written = (tmp_path / "alive").stat().st_size
    await asyncio.sleep(0.1)
    assert (tmp_path / "alive").stat().st_size == written


async def test_memory_of_a_descendant_in_a_session_of_its_own_counts(pool: JobPool, tmp_path: Path) -> None:
    before, given = below(), {"megabytes": 600, "seconds": 30}
    with pytest.raises(JobOutOfMemory, match="500 MB"):
        await pool.run("toy", "toy_jobs:escape", given, project="default", scratch=tmp_path, memory_mb=500)
    assert below() <= before


async def test_pages_that_processes_share_count_once(pool: JobPool, tmp_path: Path) -> None:
    """Worker, job and the two between them share nearly all."""
    others = workers()  # servers of this test run
    await pool.run("toy", "toy_jobs:double", {"value": 1}, project="default", scratch=tmp_path)
    (worker,) = workers() - others
    assert 5 << 20 < tree.held(worker).memory < 60 << 20


@pytest.mark.parametrize(
    ("files", "megabytes", "nameless", "sentence"),
    [
        (1, 60, False, "File too large|wrote more than 50 MB"),
        (50, 2, False, "wrote more than 50 MB"),
        (1, 40, True, "wrote more than 50 MB"),
    ],
)
async def test_a_full_scratch_ends_the_job(
    tmp_path: Path, pool: JobPool, files: int, megabytes: int, nameless: bool, sentence: str
) -> None:
    """One large file, many small ones, and one that has no name any more beside 15 MB that are there."""
    pool._scratch_mb = 50
    (tmp_path / "there").write_bytes(os.urandom(15 << 20))
    given = {"files": files, "megabytes": megabytes, "nameless": nameless}
    with pytest.raises(JobFailed, match=sentence):
        await pool.run("toy", "toy_jobs:fill", given, project="default", scratch=tmp_path)


async def test_processes_are_limited(pool: JobPool, tmp_path: Path) -> None:
    try:
        made = await pool.run("toy", "toy_jobs:bomb", {}, project="default", scratch=tmp_path)
    except JobOverQuota:
        return
    assert made["started"] < 1000


async def test_a_job_reaches_its_own_files_alone(pool: JobPool, tmp_path: Path) -> None:
    scratch, given, secret = tmp_path / "scratch", tmp_path / "given", tmp_path / "secret"
    scratch.mkdir()
    for file in (given, secret, scratch / "own"):
        file.write_text("x")
    (scratch / "link").symlink_to(secret)
    names = [str(path) for path in (given, secret, scratch / "own", scratch / "link")] + ["/proc/self/status"]
    made = await pool.run(
        "toy", "toy_jobs:read_file", {"files": names}, project="default", scratch=scratch, readable=[given]
    )
    assert list(made.values()) == [True, False, True, False, True]


async def test_a_job_leaves_nothing_in_its_worker(pool: JobPool, tmp_path: Path) -> None:
    for value in ("one", "two"):
        made = await pool.run("toy", "toy_jobs:remember", {"value": value}, project=value, scratch=tmp_path)
        assert made == {"found": ""}


async def test_what_is_no_message_fails_the_job_alone(pool: JobPool, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="more than one message"):
        await pool.run("toy", "toy_jobs:babble", {}, project="default", scratch=tmp_path)
    made = await pool.run("toy", "toy_jobs:double", {"value": 1}, project="default", scratch=tmp_path)
    assert made["value"] == 2


async def test_a_slow_job_of_one_project_does_not_delay_another(pool: JobPool, tmp_path: Path) -> None:
    slow = asyncio.create_task(pool.run("toy", "toy_jobs:sleep", {"seconds": 60}, project="slow", scratch=tmp_path))
    behind = asyncio.create_task(pool.run("toy", "toy_jobs:double", {"value": 1}, project="slow", scratch=tmp_path))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await pool.run("toy", "toy_jobs:double", {"value": 1}, project="quick", scratch=tmp_path)
    assert not slow.done() and not behind.done()
    for call in (slow, behind):
        call.cancel()
    await asyncio.gather(slow, behind, return_exceptions=True)


async def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Overloaded, match="not installed") as caught:
        await JobPool({"x": "/nowhere/python"}, tmp_path).run("x", "a:b", {}, project="default", scratch=tmp_path)
    assert "make" in caught.value.hint
