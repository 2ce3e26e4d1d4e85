"""What is the matter with a model server's pod, in a sentence, from what the kubelet reports of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
Pod = dict[str, Any]


@dataclass(frozen=True)
class Diagnosis:
    """A sentence; `final` where trying again cannot help, `stuck` where waiting alone will hardly do."""

    sentence: str
    final: bool = False
    stuck: bool = False


def name_of(pod: Pod) -> str:
    """The pod's name, which is also the server's."""
    return str(pod["metadata"]["name"])


def is_leaving(pod: Pod) -> bool:
    """Told to end."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Pod) -> bool:
    """Ended for good (evicted, for example): its volumes are gone, though the object may stay."""
    return (pod.get("status") or {}).get("phase") in {"Failed", "Succeeded"}


def diagnose(pod: Pod) -> Diagnosis | None:
    """None where nothing is wrong, or the pod is only starting."""
    status = pod.get("status") or {}
    if status.get("phase") == "Failed":
        return Diagnosis(f"pod {name_of(pod)} ended: {status.get('reason', '')} {status.get('message', '')}".rstrip())
    for container in status.get("containerStatuses") or []:
        if (diagnosis := _container(name_of(pod), container)) is not None:
            return diagnosis
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Diagnosis(f"pod {name_of(pod)} finds no node: {condition.get('message', '')}")
    return None


def _container(pod: str, container: dict[str, Any]) -> Diagnosis | None:
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended and not container.get("ready"):
        return _ended(pod, ended, int(container.get("restartCount") or 0))
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE:
        return Diagnosis(f"the image {container.get('image', '')} cannot be had ({reason}): {message}", stuck=True)
    if reason in _CONFIG:
        return Diagnosis(f"the container of pod {pod} cannot be made ({reason}): {message}", stuck=True)
    return None


def _ended(pod: str, ended: dict[str, Any], restarts: int) -> Diagnosis | None:
    code, message = ended.get("exitCode"), str(ended.get("message") or "").strip()
    if code == 0:
        return None
    if ended.get("reason") == "OOMKilled" or (code == 137 and "OOM" in message):
        return Diagnosis(f"pod {pod} needs more memory than its limit (OOMKilled): raise model_memory", final=True)
    if code == os.EX_DATAERR:
        return Diagnosis(message or "the package cannot be served", final=True)
    last = message.splitlines()[-1][:500] if message else str(ended.get("reason") or "no message")
    return Diagnosis(f"pod {pod} ended with {code}: {last}", stuck=restarts >= 2)
