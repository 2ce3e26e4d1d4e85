"""Reads what Kubernetes shows of a run: its Job and the Job's pods, as plain objects of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from capstan_training.domain.pod_program import MADE, SAID_WHY

Object: TypeAlias = Mapping[str, Any]
"""An object of the Kubernetes API: JSON whose fields Kubernetes defines."""

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}
_START = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}


@dataclass(frozen=True)
class Seen:
    """`pod` is the newest one whose output can be read. `reason` is a sentence without a full stop.

    starting: as it should. waiting: not yet, but it may. stuck: cannot start as it is. going: runs.
    ended: its program has said how it ended.
    crashed: ended without a word, and would again. lost: taken away from outside.
    """

    kind: Literal["starting", "waiting", "stuck", "going", "ended", "crashed", "out-of-memory", "timed-out", "lost"]
    reason: str = ""
    pod: str = ""


def see(job: Object | None, pods: Sequence[Object]) -> Seen:
    """What has become of a run."""
    if job is None:
        return Seen("lost", "its Job is gone")
    pod = max(pods, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), default=None)
    failed = _condition(job, "Failed") or _condition(job, "FailureTarget")
    if failed is not None and failed.get("reason") == "DeadlineExceeded":
        return Seen("timed-out", "", _started(pod))
    if pod is None:
        return _without_pod(job, failed)
    ended = _container(pod).get("state", {}).get("terminated")
    if ended is not None:
        return _ended(pod, ended, failed is not None)
    if failed is not None:
        return Seen("lost", _why(failed), _started(pod))
    if pod.get("status", {}).get("phase") in ("Failed", "Succeeded") or "deletionTimestamp" in pod["metadata"]:
        return Seen("waiting", f"its pod was taken away ({_taken(pod)}); another one starts", _started(pod))
    if _container(pod).get("state", {}).get("running") is not None:
        return Seen("going", "", str(pod["metadata"]["name"]))
    return _not_started(pod)


def finished(job: Object) -> bool:
    """Whether the Job is over, one way or the other."""
    return any(_condition(job, kind) for kind in ("Complete", "Failed"))


def said(pods: Sequence[Object]) -> bool:
    """Whether a pod's program has come to its own end; the Job's status follows by itself."""
    return any(
        _container(pod).get("state", {}).get("terminated", {}).get("exitCode") in (MADE, SAID_WHY) for pod in pods
    )


def _without_pod(job: Object, failed: Object | None) -> Seen:
    if failed is not None:
        return Seen("lost", _why(failed))
    name = job["metadata"]["name"]
    return Seen("starting", f"Kubernetes has made no pod yet (`kubectl describe job {name}` tells why if this lasts)")


def _ended(pod: Object, ended: Object, over: bool) -> Seen:
    name, status = str(pod["metadata"]["name"]), int(ended.get("exitCode", 1))
    if status in (MADE, SAID_WHY):
        return Seen("ended", "", name)
    if ended.get("reason") == "OOMKilled":
        return Seen("out-of-memory", "", name)
    if ended.get("reason") in _START or ended.get("reason") == "ContainerCannotRun":
        return Seen("crashed", _start_sentence(pod, ended), name)
    if _condition(pod, "DisruptionTarget") is not None or status >= 128:
        lost = f"its pod was taken away ({_taken(pod)}, status {status})"
        return Seen("lost", lost, name) if over else Seen("waiting", f"{lost}; another one starts", name)
    last = str(ended.get("message", "")).strip().rpartition("\n")[2]
    return Seen("crashed", f"its pod ended with status {status}" + (f": {last}" if last else ""), name)


def _not_started(pod: Object) -> Seen:
    scheduled = next((c for c in _conditions(pod) if c.get("type") == "PodScheduled"), {})
    if scheduled.get("status") == "False":
        return Seen("waiting", f"no node can take the pod now: {scheduled.get('message') or scheduled.get('reason')}")
    waiting = _container(pod).get("state", {}).get("waiting", {})
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", "")).strip()
    if reason in _IMAGE:
        said = f" ({reason}: {message})" if message else f" ({reason})"
        return Seen(
            "stuck",
            f"the image {_image(pod)} cannot be had{said}; check CAPSTAN_TRAINING_RUN_IMAGE and "
            "CAPSTAN_TRAINING_RUN_IMAGE_PULL_POLICY, and that the nodes may pull it",
        )
    if reason in _START:
        return Seen("stuck", _start_sentence(pod, waiting))
    return Seen("starting", "the pod is being started")


def _start_sentence(pod: Object, state: Object) -> str:
    message = str(state.get("message", "")).strip()
    return (
        f"a container of the image {_image(pod)} cannot be started ({state.get('reason')}: {message}); "
        "it must be the training service's own image, in the version of this service"
    )


def _started(pod: Object | None) -> str:
    if pod is None:
        return ""
    state = _container(pod).get("state", {})
    return str(pod["metadata"]["name"]) if "running" in state or "terminated" in state else ""


def _container(pod: Object) -> Object:
    container: Object = next(iter(pod.get("status", {}).get("containerStatuses") or []), {})
    return container


def _image(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _taken(pod: Object) -> str:
    disrupted = _condition(pod, "DisruptionTarget") or {}
    return str(pod.get("status", {}).get("reason") or disrupted.get("reason") or "deleted")


def _why(condition: Object) -> str:
    return f"its Job failed: {condition.get('message') or condition.get('reason')}"


def _conditions(thing: Object) -> Sequence[Object]:
    conditions: Sequence[Object] = thing.get("status", {}).get("conditions") or []
    return conditions


def _condition(thing: Object, kind: str) -> Object | None:
    return next((c for c in _conditions(thing) if c.get("type") == kind and c.get("status") == "True"), None)
