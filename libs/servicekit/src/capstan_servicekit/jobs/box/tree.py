"""The processes below one: what they hold, and their end. Needs /proc; elsewhere there are none to be seen."""

from __future__ import annotations

import os
import signal
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_END_S = 5.0


@dataclass(frozen=True)
class Held:
    """Resident bytes, shared pages counted once; processes; bytes of files that have no name any more."""

    memory: int
    processes: int
    nameless: int


def below(root: int) -> list[int]:
    """All descendants of a process that have not ended, in no order.

    A descendant whose parent ended is found when somebody between here and it adopts orphans (process 1 of a namespace,
    or `kernel.adopts_orphans`).
    """
    children = _children if (_PROC / "self" / "task" / str(os.getpid()) / "children").exists() else _all_children().get
    found, todo = [], [root]
    while todo:
        made = children(todo.pop()) or []
        found += [pid for pid in made if _lives(pid)]
        todo += made
    return found


def _children(pid: int) -> list[int]:
    """By the kernel's own list (CONFIG_PROC_CHILDREN), for it costs by what is below and not by what runs here."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(_PROC / str(pid) / "task"):
            with suppress(OSError):
                found += map(int, (_PROC / str(pid) / "task" / thread / "children").read_text().split())
    return found


def _all_children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        if (facts := _facts(int(entry.name))) is not None:
            children.setdefault(int(facts[1]), []).append(int(entry.name))
    return children


def _lives(pid: int) -> bool:
    facts = _facts(pid)
    return facts is not None and facts[0] not in "ZX"


def _facts(pid: int) -> list[str] | None:
    """State and parent of a process; None when it is gone."""
    with suppress(OSError, IndexError):
        return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[:2]
    return None


def me() -> int:
    """This process as /proc names it: in a process namespace without a /proc of its own the two differ."""
    return int(os.readlink("/proc/self")) if os.path.islink("/proc/self") else os.getpid()


def held(root: int) -> Held:
    """What a process and all below it hold."""
    pids = [root, *below(root)]
    nameless: dict[tuple[int, int], int] = {}
    for pid in pids:
        _add_nameless(pid, nameless)
    return Held(sum(map(_memory, pids)), len(pids), sum(nameless.values()))


def end_below(root: int) -> None:
    """Kill all descendants, again until none is left: one that was about to make another has then made it.

    OSError after five seconds of that.
    """
    last = time.monotonic() + _END_S
    while pids := below(root):
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > last:
            raise OSError(f"{len(pids)} processes below {root} do not end")
        time.sleep(0.005)


def _memory(pid: int) -> int:
    """The proportional set: what forked processes share is not counted in each. Where there is none, the resident."""
    folder = _PROC / str(pid)
    with suppress(OSError, ValueError, IndexError):
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    with suppress(OSError, ValueError, IndexError):
        return int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _add_nameless(pid: int, found: dict[tuple[int, int], int]) -> None:
    with suppress(OSError):
        for entry in os.scandir(_PROC / str(pid) / "fd"):
            with suppress(OSError):
                facts = entry.stat()
                if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                    found[facts.st_dev, facts.st_ino] = facts.st_blocks << 9
