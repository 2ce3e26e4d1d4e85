"""What every box may read: the interpreter with its environment, the system's libraries, facts of the machine."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Final

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SHARED_MEMORY: Final = "/dev/shm"
PROC: Final = "/proc"

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
    "/etc/timezone", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf",
    "/etc/mime.types", "/etc/os-release", "/etc/ssl/certs", "/etc/fonts",
    "/sys/devices/system", "/sys/fs/cgroup",
)  # fmt: skip


@cache
def readable() -> tuple[str, ...]:
    """Of this interpreter. Its search path counts as it is now: call it before a tenant's folder is put on it.

    The working folder is not part of it (programs with boxes are started with `-P`).
    """
    program = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    found = [path for path in (*_SYSTEM, *program, *sys.path) if path.startswith("/") and os.path.exists(path)]
    return tuple(dict.fromkeys(os.path.normpath(path) for path in found if os.path.realpath(path) != "/"))
