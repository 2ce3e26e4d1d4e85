"""Landlock: which files may be reached, no TCP, no signals and no abstract sockets to the outside.

Constants and layouts are those of linux/landlock.h; what each version of the interface (ABI) has, of landlock(7) and
Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from functools import cache

from capstan_servicekit.jobs.box.kernel import LINUX, BoxError, libc, syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
_FIRST = (1 << 13) - 1
_ADDED = {2: 1 << 13, 3: TRUNCATE, 5: IOCTL_DEV}
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKET, _SIGNAL = 1, 2

READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
NET_SINCE, SCOPES_SINCE = 4, 6


@cache
def abi() -> int:
    """The version of the interface that this kernel has; 0: no Landlock."""
    if not LINUX:
        return 0
    return max(0, int(libc().syscall(ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def handled(version: int) -> int:
    """All rights over files that a version knows."""
    return _FIRST | sum(right for since, right in _ADDED.items() if version >= since)


def write_rights(version: int) -> int:
    """Everything but devices."""
    return handled(version) & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)


class Ruleset:
    """Rules in the making. `apply` puts this thread, and all that it will start, under them for ever."""

    def __init__(self) -> None:
        self._version = abi()
        values = [handled(self._version)]
        if self._version >= NET_SINCE:
            values.append(_BIND_TCP | _CONNECT_TCP)
        if self._version >= SCOPES_SINCE:
            values.append(_ABSTRACT_SOCKET | _SIGNAL)
        attributes = struct.pack(f"={len(values)}Q", *values)
        size = ctypes.c_size_t(len(attributes))
        self._handle = syscall("landlock ruleset", _CREATE, attributes, size, ctypes.c_uint32(0))

    def allow(self, paths: Iterable[str], rights: int) -> None:
        """Give rights over paths and what is below them; those that are not there are left out."""
        for path in paths:
            try:
                beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                self._allow(beneath, rights & handled(self._version))
            finally:
                os.close(beneath)

    def _allow(self, beneath: int, rights: int) -> None:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, beneath)
        handle = ctypes.c_int(self._handle)
        syscall("landlock rule", _ADD_RULE, handle, ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))

    def apply(self) -> None:
        """Needs no_new_privs. BoxError."""
        if self._version < 1:
            raise BoxError("this kernel has no Landlock")
        syscall("landlock", _RESTRICT, ctypes.c_int(self._handle), ctypes.c_uint32(0))
        os.close(self._handle)
