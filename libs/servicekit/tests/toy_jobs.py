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
    """Hold 600 MB."""
    kept = bytearray(600 << 20)
    time.sleep(5)
    return {"held": len(kept)}


def escape(job: Job) -> dict[str, object]:
    """Leave a process behind: own session, forked twice, `megabytes` large, writing as long as it lives."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            kept = bytearray(job.input["megabytes"] << 20)
            with (job.scratch / "alive").open("wb", buffering=0) as file:
                while kept:
                    file.write(b".")
                    time.sleep(0.01)
        os._exit(0)
    while not (job.scratch / "alive").exists():
        time.sleep(0.01)
    time.sleep(job.input["seconds"])
    return {}


def fill(job: Job) -> dict[str, object]:
    """Write `megabytes` into scratch, in one file or in `files`, or into one that has no name any more."""
    size = job.input["megabytes"] << 20
    for number in range(job.input["files"]):
        with (job.scratch / f"{number}").open("wb") as file:
            if job.input["nameless"]:
                (job.scratch / f"{number}").unlink()
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
            file.flush()
            time.sleep(3 if job.input["nameless"] else 0)
    time.sleep(3)
    return {}


def bomb(job: Job) -> dict[str, object]:
    """Start as many processes as can be had."""
    started = 0
    try:
        while started < 5000:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
            started += 1
    except OSError:
        pass
    return {"started": started}


def read_file(job: Job) -> dict[str, object]:
    """Whether files can be read, by their names."""
    return {name: _readable(name) for name in job.input["files"]}


def _readable(name: str) -> bool:
    try:
        with open(name, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def remember(job: Job) -> dict[str, object]:
    """What an earlier job left in this module, and leave something."""
    before = globals().get("left", "")
    globals()["left"] = job.input["value"]
    return {"found": before}


def babble(job: Job) -> dict[str, object]:
    """Say what is no message into every open handle."""
    for number in range(3, 64):
        try:
            os.write(number, b'{"result": {"forged": true}, "ready": 1}\n')
        except OSError:
            continue
    return {}
