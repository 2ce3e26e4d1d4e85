"""A recipe that tries a hundred things that are not its own, when it is compiled and when it runs: none succeeds.

In the whole box, and in that of a machine that lets nobody make namespaces.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.documents import Scalar
from capstan_servicekit.jobs.box import landlock, tree
from capstan_servicekit.jobs.pool import JobPool
from capstan_testkit.harness import job_pythons
from capstan_testkit.required import missing
from capstan_training.actions.compile_code import COMPILE
from capstan_training.adapters.executors.local import RUN
from capstan_training.domain.jobs import GROUP, ArchiveToRead, PipelineToRun

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PROBE = Path(__file__).parent / "probe"
WITHOUT_NAMESPACES = """\
import ctypes, os, struct, sys
from capstan_servicekit.jobs.box.kernel import MACHINE, no_new_privileges
from capstan_servicekit.jobs.box.syscalls import NUMBERS
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, NUMBERS[MACHINE]["unshare"]), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
memory = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines), 8 * len(lines))
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))
no_new_privileges()
assert ctypes.CDLL(None).prctl(22, 2, ctypes.byref(Program(len(lines), ctypes.addressof(memory))), 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A home as the platform's, with something behind every door: whoever gets through finds a byte."""
    if not landlock.abi():
        missing("a kernel with Landlock")
    home = tmp_path / "home"
    names = ["secrets/token", "secrets/registry.token", "secrets/broker.json", "principals.json", "db/registry.db"]
    secrets = [home / name for name in (*names, "mlflow.db", "objects/other/ab/abcd", "online/other/view")]
    for path in secrets:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
        path.chmod(0o600)
    with ExitStack() as stack:
        tcp, udp = stack.enter_context(socket.socket()), stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        plain, abstract = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        plain.bind(str(home / "s"))
        abstract.bind(f"\0capstan-{os.getpid()}")
        for listening in (tcp, plain, abstract):
            listening.listen()
        yield {
            "secrets": [str(path) for path in secrets],
            "folders": sorted({str(path.parent) for path in secrets}),
            "given": [],
            "program": [landlock.__file__, sys.executable, str(Path(os.__file__))],
            "pids": [os.getpid(), os.getppid()],
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": str(home / "s"),
            "abstract": f"capstan-{os.getpid()}",
        }
    assert {path.read_text() for path in secrets} == {"secret"}
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


@pytest.fixture(params=["whole", "without-namespaces"])
async def pool(request: pytest.FixtureRequest, tmp_path: Path, facts: dict[str, Any]) -> AsyncIterator[JobPool]:
    python = Path(job_pythons().get(GROUP, "missing"))
    if not python.exists():  # noqa: ASYNC240 - a test
        missing("the environment of the job group training")
    if request.param != "whole":
        starter, program = tmp_path / "python", tmp_path / "without_namespaces.py"
        program.write_text(WITHOUT_NAMESPACES)
        starter.write_text(f'#!/bin/sh\nexec {python} {program} "$@"\n')
        starter.chmod(0o755)
        python = starter
    made = JobPool({GROUP: str(python)}, tmp_path / "scratch")
    yield made
    await made.close()


def archive(tmp_path: Path, tar: Callable[[dict[str, bytes]], bytes], facts: dict[str, Any], when: str) -> Path:
    path = tmp_path / f"{when}.tar.gz"
    told = json.dumps({**facts, "when": when, "given": [str(path)]}).encode()
    files = {file.name: file.read_bytes() for file in PROBE.glob("*.py")}
    path.write_bytes(tar({**files, "facts.json": told}))
    return path


def reached(sentence: str) -> str:
    """What the recipe says that it could do; it has tried everything."""
    told = re.search(r"(\d+) attempts; reached: (\[.*?\])", sentence)
    assert told is not None, sentence
    assert int(told[1]) > 80
    return told[2]


async def test_nothing_is_reached_when_it_is_compiled(
    pool: JobPool, tmp_path: Path, facts: dict[str, Any], tar: Any
) -> None:
    path, others = archive(tmp_path, tar, facts, "compile"), set(tree.below(os.getpid()))
    async with pool.scratch() as scratch:
        made = await pool.call(COMPILE, ArchiveToRead(str(path)), project="p", scratch=scratch, readable=[path])
    assert reached(made.errors["pipeline.py:train"]) == "[]"
    assert len(set(tree.below(os.getpid())) - others) == 1, "only the worker is left"


async def test_nothing_is_reached_when_it_runs(pool: JobPool, tmp_path: Path, facts: dict[str, Any], tar: Any) -> None:
    path, rows, log = archive(tmp_path, tar, facts, "run"), tmp_path / "rows.parquet", tmp_path / "run" / "output.log"
    pq.write_table(pa.table({"x": [1]}), rows)
    log.parent.mkdir()
    others = set(tree.below(os.getpid()))
    async with pool.scratch() as scratch:
        made = await pool.call(COMPILE, ArchiveToRead(str(path)), project="p", scratch=scratch, readable=[path])
        assert not made.errors
        ir = made.irs["pipeline.py:train"]
        source, told = (PROBE / "attempts.py").read_text(), json.dumps({**facts, "given": [ir]})
        arguments: dict[str, Scalar] = {"training_set": str(rows), "source": source, "facts": told}
        given = PipelineToRun(ir, [str(rows)], arguments, "x", 1, str(log))
        await pool.call(RUN, given, project="p", scratch=log.parent, readable=[ir, rows])
    assert reached(log.read_text()) == "[]"
    assert len(set(tree.below(os.getpid())) - others) == 1, "only the worker is left"
