"""Waits for a Deployment to roll out one placement, and gives up early where its pods say that they never will."""

from __future__ import annotations

import asyncio

from capstan_inference.actions.ports import Placement
from capstan_inference.adapters.kubernetes import manifests, pods
from capstan_inference.adapters.kubernetes.cluster import Cluster, Manifest
from capstan_servicekit.errors import InvalidData, NotReady

LOOK_AGAIN_S = 0.25
#: A registry that hiccups, or a Secret that is made a moment later, is no reason to give up.
STUCK_FOR_S = 10.0


class Rollout:
    """One wait."""

    def __init__(self, cluster: Cluster, placement: Placement, name: str, patience_s: float) -> None:
        self._cluster, self._placement, self._name, self._patience_s = cluster, placement, name, patience_s
        self._stuck_since: float | None = None
        self._diagnosis: pods.Diagnosis | None = None

    async def complete(self) -> None:
        """Until all pods are new and ready, and the old ones get no new request. InvalidData, NotReady."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s
        while not await self._done():
            await self._look_at_pods(loop.time())
            if loop.time() > until:
                why = f": {self._diagnosis.sentence}" if self._diagnosis else ""
                raise NotReady(f"its model servers were not ready within {self._patience_s:g} s{why}")
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _done(self) -> bool:
        deployment = await self._cluster.get("Deployment", self._name)
        if deployment is None or manifests.placement_of(deployment) != self._placement:
            raise NotReady("somebody else changed or deleted its Deployment during the roll-out")
        return is_complete(deployment)

    async def _look_at_pods(self, now: float) -> None:
        labels = manifests.selector(self._placement.project, self._placement.deployment)
        diagnoses = []
        for pod in await self._cluster.find("Pod", labels):
            if manifests.placement_of(pod) == self._placement and not pods.is_leaving(pod):
                diagnosis = pods.diagnose(pod)
                diagnoses += [diagnosis] if diagnosis is not None else []
        for diagnosis in diagnoses:
            if diagnosis.final:
                raise InvalidData(diagnosis.sentence)
        self._diagnosis = diagnoses[0] if diagnoses else None
        if not any(diagnosis.stuck for diagnosis in diagnoses):
            self._stuck_since = None
            return
        self._stuck_since = self._stuck_since or now
        if now - self._stuck_since > STUCK_FOR_S:
            raise NotReady(next(diagnosis.sentence for diagnosis in diagnoses if diagnosis.stuck))


def is_complete(deployment: Manifest) -> bool:
    """As `kubectl rollout status` judges: seen, all updated, none of the old left, all available."""
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    counts = [int(status.get(name) or 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return (
        int(status.get("observedGeneration") or 0) >= int(deployment["metadata"]["generation"])
        and counts == [wanted] * 3
    )
