"""Seccomp: a deny list of system calls, as the program of classic BPF that the kernel asks at every call.

Layouts are those of linux/seccomp.h, linux/filter.h and linux/audit.h; see seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from capstan_servicekit.jobs.box.kernel import MACHINE, PR_SET_SECCOMP, call, libc
from capstan_servicekit.jobs.box.syscalls import FOR_NOBODY, METADATA, NUMBERS, OF_A_PROCESS, OF_OTHERS

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000
_FILTER_MODE = 2
_AF_UNIX = 1
_NEW_NAMESPACES = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000
"""CLONE_NEW{CGROUP,UTS,IPC,USER,PID,NET,NS}."""

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Outside:
    """What else keeps the box apart, so that a call need not be refused."""

    own_processes: bool
    """A PID namespace: no process outside can be named."""
    scoped_signals: bool
    """Landlock lets no signal out."""
    own_files: bool
    """A mount namespace: no other file has a path."""


def program(outside: Outside, machine: str = MACHINE) -> list[Instruction]:
    """The filter for a machine of `syscalls.NUMBERS`."""
    numbers = NUMBERS[machine]

    def known(names: Iterable[str]) -> list[int]:
        return [numbers[name] for name in names if name in numbers]

    body: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUALS, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),  # the numbers of another machine mean other calls
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        body += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    body += _refused(known(FOR_NOBODY), errno.EPERM)
    body += _refused([numbers["clone3"]], errno.ENOSYS)  # its flags lie in memory; the C library falls back to clone
    body += _first_argument(numbers["clone"], _ANY_BIT, _NEW_NAMESPACES, refused=True)
    if outside.own_files:
        body += _first_argument(numbers["socket"], _EQUALS, _AF_UNIX, refused=False)
    else:
        body += _refused([numbers["socket"]], errno.EPERM)  # a socket with a path, D-Bus say, is no matter of Landlock
        body += _refused(known(METADATA), 0)  # said to be done, and not done: copying a file's mode must not fail
        body += _refused([numbers["truncate"]], errno.EPERM)
    if not outside.own_processes:
        body += _refused(known(("setpriority", "ioprio_set")), errno.EPERM)
        for number in known(OF_A_PROCESS):
            body += _first_argument(number, _EQUALS, 0, refused=False)
        if not outside.scoped_signals:
            body += _refused(known(OF_OTHERS), errno.EPERM)
    return [*body, (_RETURN, 0, 0, _ALLOW)]


def _refused(numbers: Iterable[int], error: int) -> Iterator[Instruction]:
    for number in numbers:
        yield (_EQUALS, 0, 1, number)
        yield (_RETURN, 0, 0, _ERRNO | error)


def _first_argument(number: int, test: int, value: int, *, refused: bool) -> Iterator[Instruction]:
    """Refuse a call when a test of the low half of its first argument has this result."""
    yield (_EQUALS, 0, 4, number)
    yield (_LOAD, 0, 0, _ARGUMENTS_AT)
    yield (test, 0 if refused else 1, 1 if refused else 0, value)
    yield (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    yield (_LOAD, 0, 0, _NUMBER_AT)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


@cache
def packed_program(outside: Outside) -> bytes:
    """The filter for this machine, as the kernel reads it; made once, before a worker forks."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program(outside))


def apply(outside: Outside) -> None:
    """Put this thread, and all that it will start, under the filter for ever. Needs no_new_privs. BoxError."""
    packed = packed_program(outside)
    memory = ctypes.create_string_buffer(packed, len(packed))
    loaded = _Program(len(packed) // 8, ctypes.addressof(memory))
    call("seccomp", int(libc().prctl(PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(loaded), 0, 0)))


@cache
def available() -> bool:
    """Whether this machine has filters, and we its numbers."""
    if not MACHINE:
        return False
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return any(line.startswith("Seccomp_filters:") or line.startswith("Seccomp:") for line in status)
    except OSError:
        return False
