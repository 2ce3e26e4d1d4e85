"""Job functions for the tests of the pool; run in a worker process."""

import os
import time
from dataclasses import dataclass

from capstan_servicekit.jobs.api import Job, JobRefused


def double(job: Job) -> dict[str, object]:
    """Twice the number, the worker's pid, and whether a secret leaked in."""
    job.progress(1, 2, "half")
    return {"value": job.input["value"] * 2, "pid": os.getpid(), "leaked": "CAPSTAN_TOKEN" in os.environ}


@dataclass(frozen=True)
class Parts:
    """Two numbers."""

    left: int
    right: int


def swap(job: Job) -> Parts:
    """The same numbers the other way round."""
    parts = job.read(Parts)
    return Parts(parts.right, parts.left)


def refuse(job: Job) -> dict[str, object]:
    """Say no."""
    raise JobRefused("the file is empty", errors=[("file", "at least one row")])


def crash(job: Job) -> dict[str, object]:
    """Break."""
    raise ValueError("boom")


def die(job: Job) -> dict[str, object]:
    """End the worker from inside."""
    os._exit(3)


def sleep(job: Job) -> dict[str, object]:
    """Take a while."""
    (job.scratch / "pid").write_text(str(os.getpid()))
    time.sleep(job.input["seconds"])
    return {}


def hoard(job: Job) -> dict[str, object]:
    """Hold 400 MB."""
    kept = bytearray(400 << 20)
    time.sleep(5)
    return {"held": len(kept)}
