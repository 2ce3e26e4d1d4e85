"""Files that a job says it has made, looked at before the service, which can reach everything, touches them."""

from __future__ import annotations

import stat
from pathlib import Path

from capstan_servicekit.jobs.worker import JobFailed


def made_file(scratch: Path, told: str) -> Path:
    """A plain file in `scratch`, by its path below it or its whole path. To be called when the job is over.

    JobFailed for one that is not there, lies elsewhere, or is a link, on its way or itself: it may lead to what the job
    could not read.
    """
    root = scratch.resolve()
    try:
        path = root / (Path(told).relative_to(scratch) if Path(told).is_absolute() else told)
        if path.resolve(strict=True) == path and stat.S_ISREG(path.lstat().st_mode):
            return path
    except (OSError, ValueError) as error:
        raise JobFailed(f"the job has not made {told!r} in its folder: {error}") from error
    raise JobFailed(f"what the job calls {told!r} is not a plain file in its folder")
