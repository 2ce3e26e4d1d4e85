"""Processes by pid and start time: what is ended is what was recorded, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from capstan_client.platform.processes import command_of, descendants, end, pss_mb, same_process, started_at

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

WAIT = "import signal, sys, time; print(flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
DIES_WITH_PARENT = """
import os, sys, time
from capstan_client.platform.processes import die_with_parent
pid = os.fork()
if pid == 0:
    die_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(60)
"""


@contextmanager
def child(code: str = WAIT) -> Iterator[subprocess.Popen[str]]:
    """A process that is there, and gone at the end."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.first_line = process.stdout.readline()  # type: ignore[attr-defined]
        try:
            yield process
        finally:
            process.kill()


def until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while started_at(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return started_at(pid) is None


def test_a_process_is_known_by_pid_and_start() -> None:
    with child() as process:
        started = started_at(process.pid)
        assert started is not None and same_process(process.pid, started)
        assert not same_process(process.pid, started + 1)
        process.kill()
        assert until_gone(process.pid), "one that waits to be reaped is gone"
        assert not same_process(process.pid, started)


def test_the_recorded_process_is_ended() -> None:
    with child() as process:
        end(process.pid, started_at(process.pid) or 0.0)
        assert process.wait(5) == -signal.SIGTERM


def test_one_that_does_not_listen_is_killed_after_its_grace() -> None:
    with child(STUBBORN) as process:
        begun = time.monotonic()
        end(process.pid, started_at(process.pid) or 0.0, grace_s=0.3)
        assert process.wait(5) == -signal.SIGKILL
        assert time.monotonic() - begun >= 0.3


def test_a_reused_pid_is_left_alone() -> None:
    with child() as process:
        end(process.pid, (started_at(process.pid) or 0.0) - 1, grace_s=0.1)
        assert process.poll() is None


def test_children_of_children_are_found_and_go_with_their_parent() -> None:
    with child(DIES_WITH_PARENT) as process:
        below = int(process.first_line)  # type: ignore[attr-defined]
        assert descendants(process.pid) == [process.pid, below]
        process.kill()
        assert until_gone(below)


def test_what_a_process_holds_and_is_called() -> None:
    assert (pss_mb(os.getpid()) or 0) > 5
    assert "python" in command_of(os.getpid())
    with child() as process:
        process.kill()
        process.wait(5)
        assert pss_mb(process.pid) is None and command_of(process.pid) == ""
