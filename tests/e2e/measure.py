"""Figures of an idle platform: CPU and memory per pod, from the cluster's metrics API."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import deploy

SETTLE_S = 60


def usage(place: deploy.Place) -> dict[str, dict[str, float]]:
    """CPU (cores) and memory (MiB) of each pod; empty where the cluster has no metrics server."""
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{place.namespace}/pods"
    try:
        items: list[dict[str, Any]] = json.loads(deploy.kubectl(place, "get", "--raw", path))["items"]
    except deploy.DeployError:
        return {}
    return {
        item["metadata"]["name"]: {
            "cpu": round(sum(cores(one["usage"]["cpu"]) for one in item["containers"]), 4),
            "memory_mib": round(sum(mib(one["usage"]["memory"]) for one in item["containers"]), 1),
        }
        for item in items
    }


def ours(place: deploy.Place, found: dict[str, dict[str, float]]) -> dict[str, float]:
    """The sum over pods of the release itself, without data services."""
    mine = [
        figures
        for name, figures in found.items()
        if name.startswith((f"{place.release}-", "model-")) and not name.startswith(f"{place.release}-data")
    ]
    return {
        "pods": len(mine),
        "cpu": round(sum(one["cpu"] for one in mine), 3),
        "memory_mib": round(sum(one["memory_mib"] for one in mine), 1),
    }


def idle(place: deploy.Place) -> dict[str, dict[str, float]]:
    """The same after a minute without work."""
    time.sleep(SETTLE_S)
    return usage(place)


def run_starts(place: deploy.Place) -> list[float]:
    """Whole seconds from a run's Job to its container, for each run that can still be asked."""
    named = ("--selector", "app.kubernetes.io/component=training-run", "--output", "json")
    jobs = {
        job["metadata"]["name"]: job["metadata"]["creationTimestamp"]
        for job in json.loads(deploy.kubectl(place, "get", "jobs", *named))["items"]
    }
    found = []
    for pod in json.loads(deploy.kubectl(place, "get", "pods", *named))["items"]:
        made = jobs.get(pod["metadata"]["labels"].get("batch.kubernetes.io/job-name"))
        for container in pod["status"].get("containerStatuses", []):
            state: dict[str, dict[str, str]] = container["state"]
            began = next((one["startedAt"] for one in state.values() if one.get("startedAt")), None)
            if made and began:
                found.append((datetime.fromisoformat(began) - datetime.fromisoformat(made)).total_seconds())
    return found


def cores(quantity: str) -> float:
    """Kubernetes' CPU quantity in cores."""
    for suffix, factor in (("n", 1e-9), ("u", 1e-6), ("m", 1e-3)):
        if quantity.endswith(suffix):
            return float(quantity[:-1]) * factor
    return float(quantity)


def mib(quantity: str) -> float:
    """Kubernetes' memory quantity in MiB."""
    for suffix, factor in (("Ki", 1 / 1024), ("Mi", 1.0), ("Gi", 1024.0)):
        if quantity.endswith(suffix):
            return float(quantity[:-2]) * factor
    return float(quantity) / 2**20
