"""Whether a process that does not answer is busy or hung. The kernel knows (Linux), however loaded the machine is."""

from __future__ import annotations

import os
from pathlib import Path


class Activity:
    """What a process does from now on. Without /proc every process counts as busy."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ticks = _look(pid)[1]

    def waits(self) -> bool:
        """It is stopped, or has had no processor time since and is not in line for any: it will not answer by itself.

        A starved process stands in line, and one that computes gets its time.
        """
        state, ticks = _look(self._pid)
        if state in ("T", "t"):
            return True
        return state == "S" and ticks == self._ticks


def _look(pid: int) -> tuple[str, int]:
    """State of the main thread, and the processor time of all threads in clock ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return "", 0
    running = any(_state(pid, thread) in ("R", "D") for thread in _threads(pid))
    return ("R" if running and fields[0] == "S" else fields[0]), int(fields[11]) + int(fields[12])


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _state(pid: int, thread: str) -> str:
    try:
        return Path(f"/proc/{pid}/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""
