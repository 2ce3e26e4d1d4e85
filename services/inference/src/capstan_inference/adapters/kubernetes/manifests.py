"""What a deployment is on the cluster: a Deployment whose template carries the placement, and a Service before it."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

from capstan_inference.actions.ports import Placement
from capstan_inference.adapters import placements
from capstan_inference.settings import Settings

PORT = 7110
PLACEMENT = "capstan.dev/placement"
MANAGED_BY = "capstan-inference"
OURS = {"app.kubernetes.io/component": "model-server", "app.kubernetes.io/managed-by": MANAGED_BY}
"""Labels of all objects that this service writes."""

_USER = 10001
_HOME, _IDENTITY, _PRINCIPALS = "/var/lib/capstan", "/etc/capstan/identity", "/etc/capstan/principals"
#: Beyond draining: the data plane ends in 5 s, and what it logged has half a minute to leave.
_AFTER_DRAIN_S = 45
Manifest = dict[str, Any]


def name_of(project: str, deployment: str) -> str:
    """A DNS label that no other deployment of any project has."""
    mark = hashlib.sha256(f"{project}/{deployment}".encode()).hexdigest()[:8]
    return f"model-{deployment[:48].rstrip('-')}-{mark}"


def selector(project: str, deployment: str) -> dict[str, str]:
    """Labels by which the pods of a deployment are found; they never change."""
    return OURS | {"capstan.dev/project": project, "capstan.dev/deployment": deployment}


def service(settings: Settings, placement: Placement) -> Manifest:
    """The address of a deployment, for as long as it exists."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(settings, placement),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(placement.project, placement.deployment),
            "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def deployment(settings: Settings, placement: Placement) -> Manifest:
    """A new placement is another template, so the cluster rolls it out: a new pod is ready before an old one goes."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(settings, placement),
        "spec": {
            "replicas": settings.model_replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": max(1, int(settings.model_rollout_s)),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": selector(placement.project, placement.deployment)},
            "template": _template(settings, placement),
        },
    }


def placement_of(manifest: Manifest) -> Placement | None:
    """The placement in a Deployment's template or a pod's annotations; None where there is none that can be read."""
    annotated = manifest["spec"]["template"] if manifest.get("kind") == "Deployment" else manifest
    try:
        return placements.parse((annotated["metadata"].get("annotations") or {}).get(PLACEMENT, ""))
    except ValueError:
        return None


def _metadata(settings: Settings, placement: Placement) -> Manifest:
    name = name_of(placement.project, placement.deployment)
    return {"name": name, "labels": _labels(settings, placement)}


def _labels(settings: Settings, placement: Placement) -> dict[str, str]:
    return selector(placement.project, placement.deployment) | {
        "app.kubernetes.io/name": "model-server",
        "app.kubernetes.io/instance": settings.model_owner,
        "app.kubernetes.io/part-of": "capstan",
        "app.kubernetes.io/version": version("capstan-inference"),
        "capstan.dev/loop": placement.deployment,
    }


def _template(settings: Settings, placement: Placement) -> Manifest:
    annotations = {
        PLACEMENT: placements.text(placement),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
    }
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": int(settings.model_drain_s) + _AFTER_DRAIN_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings)],
        "volumes": [
            # Outlives the container, not the pod: what is not shipped when a pod is deleted by force is lost.
            {"name": "home", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            _secret("identity", settings.model_token_secret, "token"),
            _secret("principals", settings.model_principals_secret, "principals.json"),
        ],
    }
    if settings.model_service_account:
        spec["serviceAccountName"] = settings.model_service_account
    return {"metadata": {"labels": _labels(settings, placement), "annotations": annotations}, "spec": spec}


def _container(settings: Settings) -> Manifest:
    cpu, memory = _cpu_bounds(settings.model_cpu), _bounds(settings.model_memory)
    return {
        "name": "model-server",
        "image": settings.model_image,
        "imagePullPolicy": settings.model_image_pull_policy,
        "command": ["/opt/capstan/bin/python", "-P", "-m", "capstan_inference", "serve-pod"],
        "env": _env(settings),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        # The process listens once its model is loaded and has answered a sample row.
        "startupProbe": _probe("ready", periodSeconds=1, timeoutSeconds=2, failureThreshold=600),
        "readinessProbe": _probe("ready", periodSeconds=2, timeoutSeconds=2, failureThreshold=2),
        "livenessProbe": _probe("live", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
        "resources": {
            "requests": {"cpu": cpu[0], "memory": memory[0]},
            "limits": {"cpu": cpu[1], "memory": memory[1]},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "home", "mountPath": _HOME},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "identity", "mountPath": _IDENTITY, "readOnly": True},
            {"name": "principals", "mountPath": _PRINCIPALS, "readOnly": True},
        ],
    }


def _env(settings: Settings) -> list[Manifest]:
    values = {
        "CAPSTAN_POD_CONTROL_URL": settings.control_url,
        "CAPSTAN_POD_LIMITS": json.dumps(placements.limits(settings, settings.model_segment_age_s), sort_keys=True),
        "CAPSTAN_POD_HOME": _HOME,
        "CAPSTAN_POD_TOKEN_FILE": f"{_IDENTITY}/token",
        "CAPSTAN_POD_PRINCIPALS_FILE": f"{_PRINCIPALS}/principals.json",
        "CAPSTAN_POD_PORT": str(PORT),
        "CAPSTAN_POD_DRAIN_S": str(settings.model_drain_s),
        "CAPSTAN_POD_HEARTBEAT_S": str(settings.model_heartbeat_s),
        "CAPSTAN_POD_LOG_LEVEL": settings.log_level,
    }
    env: list[Manifest] = [{"name": name, "value": value} for name, value in values.items()]
    for name, path in (
        ("CAPSTAN_POD_SERVER", "metadata.name"),
        ("CAPSTAN_POD_PLACEMENT", f"metadata.annotations['{PLACEMENT}']"),
    ):
        env.append({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}})
    if settings.data_secret:
        key = {"name": settings.data_secret, "key": "online-store-url", "optional": True}
        env.append({"name": "CAPSTAN_POD_ONLINE_STORE_URL", "valueFrom": {"secretKeyRef": key}})
    return env


def _probe(what: str, **bounds: int) -> Manifest:
    return {"httpGet": {"path": f"/v2/health/{what}", "port": "http", "scheme": "HTTP"}, **bounds}


def _secret(volume: str, secret: str, key: str) -> Manifest:
    # Readable by the group of the pod and by nobody else: a principals file that others can read is refused.
    return {
        "name": volume,
        "secret": {"secretName": secret, "defaultMode": 0o440, "items": [{"key": key, "path": key}]},
    }


def _bounds(text: str) -> tuple[str, str]:
    """`request/limit`, or one for both."""
    request, _, limit = text.partition("/")
    return request.strip(), (limit or request).strip()


def _cpu_bounds(text: str) -> tuple[str, str]:
    """The same, but one alone is the request: a start at a tenth of a processor would take ten times as long."""
    request, limit = _bounds(text)
    if "/" not in text and request.endswith("m") and request[:-1].isdigit() and int(request[:-1]) < 1000:
        limit = "1"
    return request, limit
