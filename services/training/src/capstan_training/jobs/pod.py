"""Program of a run's pod: fetch the order, run the very job that runs on a laptop, hand in what it made.

Its standard output is the run's log. Exit status: 0 made, 3 ended without a package and said so, 1 could not say it,
143 asked to stop, 137 its child was killed by nobody knows whom. User code runs in a child, as the same user: so this
process is closed to it (prctl: no ptrace and no /proc/<pid>/environ), and the token is in no child's environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from capstan_contracts.errors import FieldError
from capstan_contracts.rest.training import PodOutcome
from capstan_servicekit.jobs.api import Job, JobRefused, fields_of
from capstan_training.domain.jobs import PipelineToRun
from capstan_training.domain.pod_program import KILLED, MADE, SAID_WHY, STOPPED
from capstan_training.jobs.pod_client import PodClient, RunOver
from capstan_training.jobs.run_pipeline import PipelineKilled, run
from capstan_training.jobs.settings import PodSettings, take_settings

PR_SET_DUMPABLE = 4
_KILLS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))


def main() -> int:
    """The exit status."""
    close_to_children()
    signal.signal(signal.SIGTERM, _stop)
    os.dup2(1, 2)  # one stream, so that lines keep their order
    settings = take_settings()
    client = PodClient(settings.url, settings.token)
    try:
        return carry_out(client, settings)
    except RunOver as error:
        print(f"[pod] {error}", flush=True)
        return 1


def carry_out(client: PodClient, settings: PodSettings) -> int:
    """Run to the end and hand in."""
    order = client.order()
    folder = settings.scratch
    folder.mkdir(parents=True, exist_ok=True)
    ir, training_set = folder / "pipeline.yaml", folder / "training_set.parquet"
    client.fetch("ir", order.inputs["ir"], ir)
    arguments = order.arguments
    if order.wants_training_set:
        client.fetch("training-set", order.inputs["training-set"], training_set)
        arguments = {**arguments, "training_set": str(training_set)}
    print("[pod] the order and its inputs are here", flush=True)
    inputs = [str(training_set)] if order.wants_training_set else []
    given = PipelineToRun(str(ir), inputs, arguments, order.label, order.threads, output=None)
    before = memory_kills()
    try:
        outcome = _outcome(Job(fields_of(given), folder), client)
    except PipelineKilled as killed:
        print(f"[pod] {killed}", flush=True)
        if memory_kills() == before:
            return KILLED
        outcome = PodOutcome(kind="out-of-memory")
    if outcome.kind != "made" and memory_kills() > before:
        outcome = PodOutcome(kind="out-of-memory")
    client.finish(outcome)
    return MADE if outcome.kind == "made" else SAID_WHY


def _outcome(job: Job, client: PodClient) -> PodOutcome:
    try:
        result = run(job)
    except JobRefused as refused:
        errors = [FieldError(place=place, rule=rule) for place, rule in refused.errors]
        return PodOutcome(kind="refused", detail=refused.detail[:20_000], errors=errors, code=refused.code)
    if result.failed:
        return PodOutcome(kind="failed", detail=result.failed[:20_000])
    client.hand_in("package", Path(result.package))
    client.hand_in("holdout", Path(result.holdout))
    return PodOutcome(kind="made", metrics=result.metrics)


def memory_kills() -> int:
    """How many processes of this container the kernel has killed for its memory (cgroup v2, else v1); 0 if unknown."""
    for file in _KILLS:
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0


def close_to_children() -> None:
    """Other processes of the same user may neither trace this one nor read its memory and environment."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _stop(*_: object) -> NoReturn:
    print("[pod] asked to stop", flush=True)
    sys.exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
