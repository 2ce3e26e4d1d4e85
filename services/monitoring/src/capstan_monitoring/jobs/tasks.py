"""What the model of a package answers: out of its header, of which a worker reads a few blocks."""

from __future__ import annotations

from pathlib import Path

from capstan_monitoring.domain.jobs import PackageToRead
from capstan_monitoring.domain.labels import LabelRule
from capstan_packages.errors import PackageError
from capstan_packages.reader import read_header
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> LabelRule:
    """JobRefused names the broken rule of the package."""
    try:
        header = read_header(Path(job.read(PackageToRead).package))
    except (PackageError, OSError) as error:
        raise JobRefused(f"the package cannot be read: {error}", errors=[("package", str(error))]) from error
    return LabelRule(header.task, header.signature.classes)
