"""The home folder: where everything lies that is not in a database or bucket."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

MIN_FREE_BYTES = 32 << 20


def diagnose_home(home: Path) -> str | None:
    """What keeps the folder from being written to, as a sentence; None when it can be. Makes it when it is missing."""
    probe = home / f".probe-{uuid.uuid4().hex}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        why = error.strerror or type(error).__name__
        return f"cannot write to {home}: {why}; mount a volume there that this user may write to, or set CAPSTAN_HOME"
    return diagnose_room(home)


def no_room(error: BaseException, home: Path) -> str | None:
    """The sentence for an error of writing, or one that came of it, where it says that a volume or a quota is full."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"the volume of {cause.filename or home} is full; give the volume of CAPSTAN_HOME more room"
        cause = cause.__cause__ or cause.__context__
    return None


def diagnose_room(home: Path) -> str | None:
    """A sentence when the volume is read-only or nearly full; looks only, writes nothing."""
    try:
        status = os.statvfs(home)
    except OSError as error:
        return f"cannot look at {home}: {error.strerror}; set CAPSTAN_HOME to a folder that is there"
    if status.f_flag & os.ST_RDONLY:
        return f"{home} is read-only; mount a volume there that this user may write to, or set CAPSTAN_HOME"
    free = status.f_bavail * status.f_frsize
    if free < MIN_FREE_BYTES:
        return f"the volume of {home} is full ({free} bytes left); give the volume of CAPSTAN_HOME more room"
    return None
