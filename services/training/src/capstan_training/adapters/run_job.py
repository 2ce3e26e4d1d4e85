"""The Kubernetes objects of a run: one Job with one pod, and the Secret with the run's token."""

from __future__ import annotations

import math
from dataclasses import dataclass

from capstan_training.actions.ports import PipelineOrder
from capstan_training.domain.pod_program import SCRATCH, TOKEN, URL
from capstan_training.domain.pod_state import Object

RUN, ATTEMPT = "capstan.dev/run", "capstan.dev/attempt"
USER = 10001
HOME = "/var/lib/capstan"
COMMAND = ["/opt/jobs/bin/python", "-P", "-m", "capstan_training.jobs.pod"]
KEPT_S = 24 * 3600
_GRACE_S = 5


@dataclass(frozen=True)
class Place:
    """Where runs go: what is the same for all of them. `callback_url` is this service as the pods reach it;
    `cpu_request_share` of a run's CPU is set aside for it on a node, and more only used where it is idle."""

    image: str
    image_pull_policy: str
    service_account: str
    callback_url: str
    owner: str
    version: str
    cpu_request_share: float = 1


def job_name(run: str, attempt: int) -> str:
    """The name of a run's Job; further ones only where the first was lost."""
    return f"run-{run}" if attempt == 1 else f"run-{run}-{attempt}"


def labels(order: PipelineOrder, place: Place, attempt: int) -> dict[str, str]:
    """The labels of everything that belongs to a run."""
    common = {
        "app.kubernetes.io/name": "training",
        "app.kubernetes.io/component": "training-run",
        "app.kubernetes.io/part-of": "capstan",
        "app.kubernetes.io/version": place.version,
        "app.kubernetes.io/managed-by": "capstan-training",
        "capstan.dev/project": order.project,
        "capstan.dev/loop": order.loop,
        RUN: order.run,
        ATTEMPT: str(attempt),
    }
    return common | ({"app.kubernetes.io/instance": place.owner} if place.owner else {})


def job(order: PipelineOrder, place: Place, attempt: int) -> Object:
    """A Job that is never repeated for what the pod itself did, and always for what was done to it."""
    labels_of_run = labels(order, place, attempt)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(order.run, attempt), "labels": labels_of_run},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": math.ceil(order.timeout_s),
            "ttlSecondsAfterFinished": KEPT_S,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "template": {"metadata": {"labels": labels_of_run}, "spec": _pod(order, place, attempt)},
        },
    }


def secret(order: PipelineOrder, place: Place, attempt: int, token: str, owner: Object) -> Object:
    """The run's token, in a Secret that goes with the Job `owner`."""
    name = job_name(order.run, attempt)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": name,
            "labels": labels(order, place, attempt),
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": name,
                    "uid": owner["metadata"]["uid"],
                    "blockOwnerDeletion": False,
                    "controller": True,
                }
            ],
        },
        "stringData": {"token": token},
    }


def _pod(order: PipelineOrder, place: Place, attempt: int) -> Object:
    limits = {"cpu": _millicores(order.cpu), "memory": f"{order.memory_mb}Mi"}
    if order.gpu:
        limits["nvidia.com/gpu"] = str(order.gpu)
    requests = limits | {"cpu": _millicores(order.cpu * place.cpu_request_share)}
    base = f"{place.callback_url.rstrip('/')}/v1/projects/{order.project}/runs/{order.run}/pod"
    token = {"secretKeyRef": {"name": job_name(order.run, attempt), "key": "token"}}
    return {
        "restartPolicy": "Never",
        "serviceAccountName": place.service_account or "default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "run",
                "image": place.image,
                "imagePullPolicy": place.image_pull_policy,
                "command": COMMAND,
                "env": [
                    {"name": URL, "value": base},
                    {"name": TOKEN, "valueFrom": token},
                    {"name": SCRATCH, "value": "/tmp/run"},
                    {"name": "HOME", "value": HOME},
                    {"name": "PYTHONWARNINGS", "value": "ignore"},
                ],
                "resources": {"requests": requests, "limits": limits},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "home", "mountPath": HOME}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "home", "emptyDir": {}}],
    }


def _millicores(cpu: float) -> str:
    return f"{max(1, round(cpu * 1000))}m"
