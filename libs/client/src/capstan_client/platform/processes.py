"""Small things about processes: who is who after a restart, memory, and dying with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent process ends (Linux); to be called in a fresh child."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def started_at(pid: int) -> float | None:
    """When a process started, in clock ticks since boot (Linux) - tells a reused pid; None when it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0 if sys.platform != "linux" and _exists(pid) else None
    return None if fields[0] == "Z" else float(fields[19])


def same_process(pid: int, started: float) -> bool:
    """Whether `pid` is still the process that was recorded."""
    now = started_at(pid)
    return now is not None and now == started


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def end(pid: int, started: float, *, grace_s: float = 5) -> None:
    """SIGTERM, and SIGKILL after `grace_s`, to the recorded process; nothing when the pid is somebody else's now."""
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 2.0)):
        if not same_process(pid, started):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + patience
        while time.monotonic() < until and same_process(pid, started):
            time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """`pid` and all processes below it (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    pids, todo = [], [pid]
    while todo:
        parent_pid = todo.pop()
        pids.append(parent_pid)
        todo += children.get(parent_pid, [])
    return pids


def pss_mb(pid: int) -> float | None:
    """Proportional set size of a process in MB (2^20 bytes): shared pages are divided among those who share them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return None
    return None


def command_of(pid: int) -> str:
    """The command line of a process, for people."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return ""
