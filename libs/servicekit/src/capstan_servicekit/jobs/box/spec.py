"""What a box lets through: paths and limits. Plain values, so that a box travels as JSON."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

OPEN_FILES = 1024
MOST_PROCESSES = 256
FILE_BYTES = 16 << 30


@dataclass(frozen=True)
class Limits:
    """What one process of the box may have, and how many processes there may be. See getrlimit(2)."""

    memory_bytes: int
    cpu_s: int
    processes: int = MOST_PROCESSES
    file_bytes: int = FILE_BYTES
    open_files: int = OPEN_FILES

    @classmethod
    def of_job(cls, memory_mb: int, timeout_s: float, quota_bytes: int) -> Limits:
        """Backstops of what is measured from outside twice a second.

        The kernel refuses at once twice the memory that a job may hold, and a GiB: it counts what is reserved (the
        stacks of threads, say), which is more than what is used. Processor seconds are those of all cores during the
        whole time; no file is larger than the quota.
        """
        cores = os.cpu_count() or 1
        return cls(
            (memory_mb << 21) + (1 << 30), math.ceil(timeout_s) * cores + 1, file_bytes=min(quota_bytes, FILE_BYTES)
        )


@dataclass(frozen=True)
class Box:
    """Files and folders, with what is below them: `readable` may be read and executed, `writable` anything.

    What is not named, and not needed by the interpreter, is out of reach, and so is the network. A path that is not
    there is left out.
    """

    readable: tuple[str, ...]
    writable: tuple[str, ...]
    limits: Limits | None = field(default=None)
    """None: those of the box outside."""
