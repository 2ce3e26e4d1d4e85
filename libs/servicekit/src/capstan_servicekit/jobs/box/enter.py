"""Entering a box: the last thing that is done before code of a tenant is imported."""

from __future__ import annotations

import resource
from contextlib import suppress

from capstan_servicekit.jobs.box import landlock, seccomp
from capstan_servicekit.jobs.box.kernel import drop_capabilities, no_new_privileges
from capstan_servicekit.jobs.box.mounts import standing
from capstan_servicekit.jobs.box.places import DEVICES, PROC, SHARED_MEMORY, readable
from capstan_servicekit.jobs.box.spec import Box, Limits

_apart = False


def enter(box: Box, *, apart: bool) -> None:
    """Put this process, and all that it will start, into the box for ever. BoxError.

    `apart`: it is in namespaces of its own (`namespaces.run_apart`). A second box can be entered within a first one; it
    can only take away. What this machine has no means for is left out: `abilities` says what that is.
    """
    global _apart
    _apart = apart
    if box.limits is not None:
        _limit(box.limits, apart=apart)
    if not landlock.abi() and not seccomp.available():
        return
    no_new_privileges()
    drop_capabilities()
    if landlock.abi():
        _close_files(box, apart=apart)
    if seccomp.available():
        seccomp.apply(_outside(apart=apart))


def prepare(*, apart: bool) -> None:
    """Look up and make once what every box of this process and of those that it forks has."""
    standing()
    if seccomp.available():
        seccomp.packed_program(_outside(apart=apart))


def _outside(*, apart: bool) -> seccomp.Outside:
    scoped = landlock.abi() >= landlock.SCOPES_SINCE
    return seccomp.Outside(own_processes=apart, scoped_signals=scoped, own_files=apart)


def is_apart() -> bool:
    """Whether this process has entered a box in namespaces of its own."""
    return _apart


def _close_files(box: Box, *, apart: bool) -> None:
    rules = landlock.Ruleset()
    rules.allow((*readable(), *box.readable, PROC), landlock.READ)
    rules.allow(DEVICES, landlock.DEVICE)
    everything = landlock.write_rights(landlock.abi())
    rules.allow(box.writable, everything)
    if apart:  # else it is the machine's, and other programs' memory lies in it
        rules.allow((SHARED_MEMORY,), everything)
    rules.apply()


def _limit(limits: Limits, *, apart: bool) -> None:
    """See getrlimit(2). A limit that is lower already stays.

    Processes are counted by user: outside of a namespace those of everything else that the user runs would count, too.
    """
    for kind, most in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        *([(resource.RLIMIT_NPROC, limits.processes)] if apart else []),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
