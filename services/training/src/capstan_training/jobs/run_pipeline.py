"""Job: run a compiled pipeline in a process of its own, then check and pack what it made."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from capstan_packages.errors import PackageError
from capstan_packages.reader import read_package
from capstan_packages.writer import write_package
from capstan_servicekit.jobs.api import Job, JobRefused
from capstan_training.domain.jobs import ChildRun, PipelineToRun, RunPipelineResult
from capstan_training.domain.pipelines import HOLDOUT, METRICS, PACKAGE
from capstan_training.jobs.artifacts import check_holdout, find_artifact, read_metrics
from capstan_training.jobs.child import run_child


class PipelineKilled(RuntimeError):
    """A signal ended the pipeline's process."""


def run(job: Job) -> RunPipelineResult:
    """JobRefused when an artifact breaks a rule; PipelineKilled."""
    given = job.read(PipelineToRun)
    root, own, order = job.scratch / "root", job.scratch / "child", job.scratch / "order.json"
    outputs, failure = own / "outputs.json", own / "failure.txt"
    root.mkdir()
    own.mkdir()
    child = ChildRun(given.ir, given.arguments, str(root), str(outputs), str(failure))
    order.write_text(json.dumps(asdict(child)))
    with _output(given.output) as output:
        status = run_child(
            f"{__package__}.run_child",
            str(order),
            folder=own,
            output=output,
            readable=[order, Path(given.ir), *map(Path, given.inputs)],
            writable=[root],
            threads=given.threads,
        )
    if status < 0:
        raise PipelineKilled(f"the pipeline's process was ended by signal {-status}")
    if status != 0:
        sentence = failure.read_text() if failure.exists() else ""
        return RunPipelineResult(failed=sentence or f"the pipeline ended with status {status}")
    return _collect(root, json.loads(outputs.read_text()), job.scratch, given.label)


def _output(path: str | None) -> AbstractContextManager[BinaryIO]:
    return Path(path).open("ab") if path is not None else nullcontext(sys.stdout.buffer)


def _collect(root: Path, outputs: dict[str, str], scratch: Path, label: str) -> RunPipelineResult:
    made, package = find_artifact(root, PACKAGE, outputs), scratch / "package.tar"
    try:
        if made.path.is_dir() and not made.path.is_symlink():
            digest = write_package(made.path, package)
        else:
            digest = read_package(made.path).digest
            shutil.copyfile(made.path, package)
        if read_package(package).digest != digest:
            raise JobRefused("The package changed while it was read")
    except PackageError as error:
        raise JobRefused(
            f"The pipeline's artifact 'package' is not a model package: {error}",
            errors=[(f"package/{error.place}", error.detail)],
        ) from error
    holdout = find_artifact(root, HOLDOUT, outputs)
    check_holdout(holdout.path, label)
    return RunPipelineResult(
        package=str(package),
        digest=digest,
        holdout=str(holdout.path),
        metrics=read_metrics(root, METRICS, outputs),
    )
