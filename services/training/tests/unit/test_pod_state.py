"""What is read out of a Job and its pods."""

from __future__ import annotations

from typing import Any

import pytest

from capstan_training.domain.pod_state import finished, said, see


def job(*conditions: tuple[str, str]) -> dict[str, Any]:
    told = [
        {"type": kind, "status": "True", "reason": reason, "message": f"because {reason}"}
        for kind, reason in conditions
    ]
    return {"metadata": {"name": "run-1"}, "status": {"conditions": told}}


def pod(state: dict[str, Any] | None = None, *, phase: str = "Running", at: str = "1", **status: Any) -> dict[str, Any]:
    containers = [{"name": "run", "state": state}] if state is not None else []
    return {
        "metadata": {"name": f"pod-{at}", "creationTimestamp": at},
        "spec": {"containers": [{"image": "capstan/training:1"}]},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


DISRUPTED = [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}]
UNSCHEDULABLE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]
FAILED = ("Failed", "BackoffLimitExceeded")


@pytest.mark.parametrize(
    ("seen_job", "pods", "kind", "words"),
    [
        (None, [], "lost", "its Job is gone"),
        (job(), [], "starting", "kubectl describe job run-1"),
        (job(FAILED), [], "lost", "because BackoffLimitExceeded"),
        (job(), [pod(phase="Pending")], "starting", "being started"),
        (job(), [pod({"waiting": {"reason": "ContainerCreating"}}, phase="Pending")], "starting", "being started"),
        (job(), [pod(phase="Pending", conditions=UNSCHEDULABLE)], "waiting", "no node can take the pod now: 0/3 nodes"),
        (job(), [pod({"waiting": {"reason": "ImagePullBackOff"}}, phase="Pending")], "stuck", "capstan/training:1"),
        (job(), [pod({"waiting": {"reason": "InvalidImageName"}}, phase="Pending")], "stuck", "RUN_IMAGE"),
        (
            job(),
            [pod({"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}})],
            "stuck",
            "no secret",
        ),
        (job(), [pod({"running": {}})], "going", ""),
        (job(), [pod(ended(0, "Completed"))], "ended", ""),
        (job(), [pod(ended(0, "OOMKilled"))], "ended", ""),
        (job(FAILED), [pod(ended(3))], "ended", ""),
        (job(FAILED), [pod(ended(137, "OOMKilled"))], "out-of-memory", ""),
        (job(FAILED), [pod(ended(1, message="a\nNo module named x\n"))], "crashed", "status 1: No module named x"),
        (job(FAILED), [pod(ended(128, "StartError", "no such file"))], "crashed", "no such file"),
        (job(FAILED), [pod(ended(143))], "lost", "status 143"),
        (job(), [pod(ended(137))], "waiting", "another one starts"),
        (job(), [pod(ended(1), conditions=DISRUPTED)], "waiting", "TerminationByKubelet"),
        (job(), [pod(phase="Failed", reason="Evicted")], "waiting", "Evicted"),
        (job(("FailureTarget", "DeadlineExceeded")), [pod({"running": {}})], "timed-out", ""),
        (job(), [pod({"running": {}}, at="2"), pod(ended(143), at="1")], "going", ""),
    ],
)
def test_what_has_become_of_a_run(
    seen_job: dict[str, Any] | None, pods: list[dict[str, Any]], kind: str, words: str
) -> None:
    seen = see(seen_job, pods)
    assert seen.kind == kind
    assert words in seen.reason


def test_the_pod_that_can_be_read_is_named() -> None:
    assert see(job(), [pod({"running": {}})]).pod == "pod-1"
    assert see(job(FAILED), [pod(ended(137, "OOMKilled"))]).pod == "pod-1"
    assert see(job(), [pod({"waiting": {"reason": "ErrImagePull"}})]).pod == ""


def test_a_job_that_is_over_stays() -> None:
    assert not finished(job()) and not finished(job(("FailureTarget", "x")))
    assert finished(job(("Complete", "x"))) and finished(job(FAILED))
    assert said([pod(ended(3))]) and said([pod(ended(0))])
    assert not said([]) and not said([pod({"running": {}})]) and not said([pod(ended(143))])
