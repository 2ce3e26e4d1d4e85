"""Namespaces of the box's own: users, network, processes, System V memory, mounts. Unprivileged where that is allowed.

See namespaces(7), user_namespaces(7), pid_namespaces(7).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from capstan_servicekit.jobs.box.kernel import MACHINE, call, dies_with_parent, libc
from capstan_servicekit.jobs.box.mounts import new_root
from capstan_servicekit.jobs.box.spec import MOST_PROCESSES, Box

_USER, _PID, _NET, _IPC, _MOUNT, _UTS = 0x10000000, 0x20000000, 0x40000000, 0x08000000, 0x00020000, 0x04000000
_RESERVED_PIDS = 301
_OWN_PID_MAX_SINCE = (6, 14)


def run_apart(box: Box, above: str, inside: Callable[[], NoReturn]) -> int:
    """Call `inside` in namespaces of its own; the exit status of its process (negative: the signal that ended it).

    To be called in a process that is made for this, single-threaded. Two more are made: the first of the new process
    namespace, which does nothing but collect what ends, and that of `inside`; when it ends, the kernel ends everything
    that is left in the namespace. `above`: see `new_root`. BoxError before `inside` was called.
    """
    user, group = os.geteuid(), os.getegid()
    call("namespaces", int(libc().unshare(_USER | _PID | _NET | _IPC | _MOUNT | _UTS)))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    first = os.fork()
    if first == 0:
        _be_first(box, above, inside)
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _be_first(box: Box, above: str, inside: Callable[[], NoReturn]) -> NoReturn:
    """Process 1: make the root, start `inside`, collect orphans until it ends."""
    dies_with_parent()
    new_root(box, above, MACHINE)
    _limit_processes(box.limits.processes if box.limits else MOST_PROCESSES)
    ours = os.fork()
    if ours == 0:
        dies_with_parent()
        inside()
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == ours:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _limit_processes(most: int) -> None:
    """So many ids in this namespace: RLIMIT_NPROC does not bind root. Elsewhere the number would be the machine's."""
    if tuple(int(part) for part in os.uname().release.split(".")[:2] if part.isdigit()) >= _OWN_PID_MAX_SINCE:
        with suppress(OSError):
            Path("/proc/sys/kernel/pid_max").write_text(str(_RESERVED_PIDS + most))


def possible(above: str) -> bool:
    """Whether this machine lets this user make them all: tried out in a process of its own."""
    trial = os.fork()
    if trial == 0:
        status = 1
        with suppress(BaseException):
            status = run_apart(Box((), ()), above, lambda: os._exit(0))
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(trial, 0)[1]) == 0
