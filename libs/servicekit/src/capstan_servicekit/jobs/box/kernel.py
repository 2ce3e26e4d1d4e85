"""Calls into the kernel that Python's library does not have."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache
from typing import Final

LINUX: Final = sys.platform == "linux"
MACHINE: Final = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(
    platform.machine(), ""
)
"""The two machines whose numbers of system calls are in `syscalls`; empty on another."""

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38


class BoxError(OSError):
    """The kernel refused a step that it can do. Nothing of the tenant has run."""


@cache
def libc() -> ctypes.CDLL:
    """The C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def call(what: str, result: int) -> int:
    """The result of a call; BoxError names the step that failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise BoxError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: object) -> int:
    """System call by number. BoxError."""
    return call(what, int(libc().syscall(ctypes.c_long(number), *arguments)))


def prctl(what: str, option: int, *values: int) -> None:
    """prctl(2) with up to four numbers. BoxError."""
    numbers = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    call(what, int(libc().prctl(ctypes.c_int(option), *numbers)))


def no_new_privileges() -> None:
    """From here on no program that is executed has more rights than this process. Unprivileged boxes need it."""
    prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)


def dies_with_parent() -> None:
    """SIGKILL comes when the thread that made this process ends."""
    prctl("parent death signal", PR_SET_PDEATHSIG, 9)


def adopts_orphans() -> None:
    """Processes below this one whose parent ends become its children (PR_SET_CHILD_SUBREAPER)."""
    if LINUX:
        prctl("child subreaper", PR_SET_CHILD_SUBREAPER, 1)


def closed_to_others() -> None:
    """Other processes of the same user may neither trace this one nor read its memory and environment."""
    if LINUX:
        prctl("dumpable", PR_SET_DUMPABLE, 0)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def drop_capabilities() -> None:
    """Give up all rights of root, for what is executed later, too. See capabilities(7)."""
    for capability in range(64):
        if libc().prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # past the last capability, or without the right to drop any, which is to have none
    header, nothing = _CapHeader(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call("capset", int(libc().capset(ctypes.byref(header), ctypes.byref(nothing))))
