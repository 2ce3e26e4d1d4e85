"""The whole platform of one machine, for tests that cross services."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capstan_client.platform.home import Home
from capstan_client.platform.processes import descendants, end, started_at
from capstan_client.settings import current_environment


def start(folder: Path, *, patience_s: float = 90) -> tuple[Home, subprocess.Popen[bytes]]:
    """Start a supervisor on `folder` and wait until everything is ready; its own words when it does not become so."""
    home = Home(folder)
    home.prepare()
    log = home.path("logs", "platform.log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "capstan_client.platform", str(folder)], stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True, env=current_environment(),
        )  # fmt: skip
    until = time.monotonic() + patience_s
    while time.monotonic() < until and process.poll() is None:
        record = home.record()
        if record is not None and record.supervisor == process.pid and record.state == "ready":
            return home, process
        time.sleep(0.05)
    stop(process)
    raise AssertionError(f"the platform did not become ready:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> list[int]:
    """Stop a supervisor; pids of its processes that are still there a moment later."""
    below = {pid: started_at(pid) for pid in descendants(process.pid)}
    process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    time.sleep(1)
    left = [pid for pid, started in below.items() if started is not None and started_at(pid) == started]
    for pid in left:
        end(pid, below[pid] or 0.0)
    return left


@contextmanager
def running_platform(folder: Path) -> Iterator[Home]:
    """A platform that is stopped at the end; nothing may be left of it."""
    home, process = start(folder)
    try:
        yield home
    finally:
        left = stop(process)
    assert left == [], f"processes left behind: {left}"
