"""A file system of the box's own: an empty root in which nothing is mounted but what the box names.

By the calls that take handles (open_tree(2), fsopen(2), move_mount(2), mount_setattr(2); Linux 5.12), so that a source
may lie under the place where the new root is made. Layouts are those of linux/mount.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from contextlib import suppress
from functools import cache

from capstan_servicekit.jobs.box.kernel import BoxError, call, libc, syscall
from capstan_servicekit.jobs.box.places import DEVICES, PROC, SHARED_MEMORY, readable
from capstan_servicekit.jobs.box.spec import Box

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
_HERE, _EMPTY_PATH, _RECURSIVE = -100, 0x1000, 0x8000
_CLONE, _FROM_EMPTY_PATH = 0x1 | os.O_CLOEXEC, 0x4
_SET_STRING, _CREATE = 1, 6
_READ_ONLY, _NO_SUID, _NO_DEVICES = 0x1, 0x2, 0x4
_RECURSIVELY_PRIVATE = 0x4000 | 0x40000
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_ROOT_SIZE, _SHARED_SIZE = "4m", "64m"
"""What lies in them is memory that no process's size shows: the root is read-only, shared memory is small."""


def new_root(box: Box, above: str, machine: str) -> None:
    """Leave for a root with the box's paths alone, made over the folder `above`. Needs a mount namespace. BoxError."""
    call("private mounts", int(libc().mount(None, b"/", None, ctypes.c_ulong(_RECURSIVELY_PRIVATE), None)))
    sources = _sources(box)
    root = _file_system("tmpfs", size=_ROOT_SIZE, mode="0755")
    _move(root, above)
    os.fchdir(root)
    for target, handle in sources:
        _put(handle, target)
    _put_own()
    _set(root, "", _READ_ONLY, _EMPTY_PATH)
    os.close(root)
    syscall("pivot_root", _PIVOT_ROOT[machine], b".", b".")
    call("leaving the old root", int(libc().umount2(b".", ctypes.c_int(_DETACH))))
    os.chdir("/")


def _sources(box: Box) -> list[tuple[str, int]]:
    """Detached copies of the mounts at the box's paths, outer ones first; each also under its real path."""
    wanted = dict.fromkeys(standing(), False)
    for paths, writable in ((box.readable, False), (box.writable, True)):
        for path in paths:
            for name in _names(path):
                wanted[name] = writable or wanted.get(name, False)
    made: list[tuple[str, int]] = []
    for name in sorted(wanted):
        if name in (PROC, SHARED_MEMORY) or (not wanted[name] and _covered(name, wanted)):
            continue
        with suppress(FileNotFoundError, NotADirectoryError):
            made.append((name, _copy(name, writable=wanted[name] or name in DEVICES)))
    return made


@cache
def standing() -> tuple[str, ...]:
    """What every box of this interpreter has; looked up once, before a worker forks."""
    return tuple(dict.fromkeys(name for path in (*readable(), *DEVICES) for name in _names(path)))


def _names(path: str) -> set[str]:
    return {os.path.normpath(path), os.path.realpath(path)}


def _covered(name: str, wanted: dict[str, bool]) -> bool:
    """Whether an outer path that is read-only, too, brings it along."""
    above = os.path.dirname(name)
    while above not in wanted and above != "/":
        above = os.path.dirname(above)
    return above in wanted and not wanted[above] and os.path.realpath(above) == above


def _copy(path: str, *, writable: bool) -> int:
    what, flags = f"open_tree {path}", ctypes.c_uint(_CLONE | _RECURSIVE)
    if not os.path.exists(path):
        raise FileNotFoundError(path)
    handle = syscall(what, _OPEN_TREE, ctypes.c_int(_HERE), os.fsencode(path), flags)
    _set(handle, "", _NO_SUID | (0 if writable else _READ_ONLY), _EMPTY_PATH | _RECURSIVE)
    return handle


def _put(handle: int, target: str) -> None:
    """Mount it at a path below the new root, which is the working folder."""
    place = "." + target
    if not os.path.exists(place):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            os.makedirs(place)
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
    _move(handle, place)
    os.close(handle)


def _put_own() -> None:
    """Processes of this namespace, and shared memory that ends with it."""
    try:
        processes = _file_system("proc")
    except BoxError:  # a container hides parts of /proc, and lets nobody see them anew: Landlock guards what is there
        processes = _copy(PROC, writable=False)
    _put(processes, PROC)
    _put(_file_system("tmpfs", size=_SHARED_SIZE, mode="1777"), SHARED_MEMORY)


def _file_system(kind: str, **options: str) -> int:
    context = syscall(f"fsopen {kind}", _FSOPEN, kind.encode(), ctypes.c_uint(1))
    try:
        for name, value in options.items():
            number = ctypes.c_uint(_SET_STRING)
            syscall(f"{kind} {name}", _FSCONFIG, ctypes.c_int(context), number, name.encode(), value.encode(), 0)
        syscall(f"{kind} make", _FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_CREATE), None, None, 0)
        attributes = ctypes.c_uint(_NO_SUID | _NO_DEVICES)
        return syscall(f"fsmount {kind}", _FSMOUNT, ctypes.c_int(context), ctypes.c_uint(1), attributes)
    finally:
        os.close(context)


def _move(handle: int, target: str) -> None:
    here, flags = ctypes.c_int(_HERE), ctypes.c_uint(_FROM_EMPTY_PATH)
    syscall(f"move_mount {target}", _MOVE_MOUNT, ctypes.c_int(handle), b"", here, os.fsencode(target), flags)


def _set(handle: int, path: str, attributes: int, flags: int) -> None:
    wanted = struct.pack("=QQQQ", attributes, 0, 0, 0)
    size = ctypes.c_size_t(len(wanted))
    number = ctypes.c_int(handle)
    syscall("mount_setattr", _MOUNT_SETATTR, number, path.encode(), ctypes.c_uint(flags), wanted, size)
