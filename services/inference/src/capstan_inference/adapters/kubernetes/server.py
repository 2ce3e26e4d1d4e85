"""Model servers as Deployments and Services of one namespace: written, waited for, taken back, looked at."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from capstan_inference.actions.ports import Address, Flushed, Placement, ReplicaStatus
from capstan_inference.adapters.kubernetes import manifests, pods
from capstan_inference.adapters.kubernetes.cluster import Cluster, Manifest
from capstan_inference.adapters.kubernetes.rollout import Rollout
from capstan_inference.settings import Settings
from capstan_servicekit.errors import CapstanError, InvalidData, NotReady
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
Key = tuple[str, str]
Flush = Callable[[str, str], Awaitable[list[Flushed]]]


class KubernetesModelServer:
    """`serving` is what the cluster says: a Deployment that is gone, or was changed by hand, no longer serves ours."""

    def __init__(self, settings: Settings, cluster: Cluster, flush: Flush) -> None:
        self._settings, self._cluster, self._flush = settings, cluster, flush
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._loading: dict[Key, Placement] = {}
        #: Placement and generation of a Deployment as we left it: another generation is somebody else's work.
        self._left: dict[Key, tuple[Placement, int]] = {}
        self._seen: dict[Key, Placement] = {}
        self._replica_status: dict[Key, ReplicaStatus] = {}
        self._pods: frozenset[str] | None = None
        self._missing: str | None = "the Kubernetes API was not asked yet"

    @property
    def serving(self) -> Mapping[Key, Placement]:
        """By the last look at the cluster; what is being loaded counts as there."""
        return self._seen | self._loading

    @property
    def replica_status(self) -> Mapping[Key, ReplicaStatus]:
        """By the last look at the cluster."""
        return self._replica_status

    @property
    def servers(self) -> frozenset[str] | None:
        """Pods that live; None until the cluster has been looked at, and while it cannot be."""
        return self._pods

    def address(self, project: str, deployment: str) -> Address:
        """The Service's name resolves within the cluster; a port-forward to it leads there from outside."""
        name = manifests.name_of(project, deployment)
        try:
            namespace = self._cluster.namespace
        except NotReady:
            namespace = self._settings.model_namespace or "default"
        return Address(f"http://{name}.{namespace}.svc:{manifests.PORT}", (namespace, name, manifests.PORT))

    async def missing(self) -> str | None:
        """For readiness: the first look counts. Later on model servers need this service, and not the other way."""
        return self._missing

    async def run(self) -> None:
        """Until cancelled: look at the cluster."""
        while True:
            try:
                await self.look()
                self._missing = None
            except CapstanError as error:
                if self._missing is not None:
                    self._missing = error.detail
                self._pods = None
                log.warning("cluster.not_seen", error=error.detail, hint=error.hint)
            await asyncio.sleep(self._settings.model_resync_s)

    async def look(self) -> None:
        """One look: what the templates say, how many pods can answer, which pods there are."""
        deployments = await self._cluster.find("Deployment", manifests.OURS)
        services = {service["metadata"]["name"] for service in await self._cluster.find("Service", manifests.OURS)}
        pod_manifests = await self._cluster.find("Pod", manifests.OURS)
        self._pods = frozenset(pods.name_of(pod) for pod in pod_manifests if not pods.is_over(pod))
        diagnoses: dict[Key, list[str]] = defaultdict(list)
        for pod in pod_manifests:
            placement, diagnosis = manifests.placement_of(pod), pods.diagnose(pod)
            if placement is not None and diagnosis is not None and not pods.is_leaving(pod):
                diagnoses[placement.project, placement.deployment].append(diagnosis.sentence)
        seen, replica_status = {}, {}
        for deployment in deployments:
            placement = manifests.placement_of(deployment)
            if placement is None:
                continue
            key = (placement.project, placement.deployment)
            replica_status[key] = _replica_status(deployment, diagnoses[key])
            if self._is_ours(key, deployment, placement) and deployment["metadata"]["name"] in services:
                seen[key] = placement
        # What should serve and has no Deployment at all is degraded, too, until it is written again.
        for key in self._left.keys() - replica_status.keys():
            replica_status[key] = ReplicaStatus(
                0, self._settings.model_replicas, "its Deployment is gone and is written again"
            )
        self._seen, self._replica_status = seen, replica_status

    async def load(self, placement: Placement) -> float:
        """Apply and wait until every pod is one of this placement; what was there before comes back on failure."""
        key = (placement.project, placement.deployment)
        async with self._locks[key]:
            left = self._left.get(key)
            if left is not None and left[0].revision > placement.revision:
                return 0.0
            started = asyncio.get_running_loop().time()
            self._loading[key] = placement
            try:
                await self._roll(key, placement)
            finally:
                del self._loading[key]
            return round(asyncio.get_running_loop().time() - started, 6)

    async def flush(self, project: str, deployment: str) -> list[Flushed]:
        """By the servers' own reports."""
        return await self._flush(project, deployment)

    async def close(self) -> None:
        """Close connections."""
        await self._cluster.close()

    async def _roll(self, key: Key, placement: Placement) -> None:
        name = manifests.name_of(*key)
        before = await self._cluster.get("Deployment", name)
        previous = None if before is None else manifests.placement_of(before)
        rollout = Rollout(self._cluster, placement, name, self._settings.model_rollout_s)
        try:
            await self._apply(key, placement)
            await rollout.complete()
        except CapstanError as error:
            await self._take_back(key, placement, previous, name, error)
            raise
        self._seen[key] = placement
        log.info("model_server.rolled_out", project=key[0], deployment=key[1], model_version=placement.version)

    async def _apply(self, key: Key, placement: Placement) -> None:
        self._check()
        await self._cluster.apply("Service", manifests.service(self._settings, placement))
        applied = await self._cluster.apply("Deployment", manifests.deployment(self._settings, placement))
        self._left[key] = (placement, int(applied["metadata"]["generation"]))

    def _check(self) -> None:
        settings = self._settings
        needed = ("model_image", "control_url", "model_principals_secret", "model_token_secret")
        empty = [name for name in needed if not getattr(settings, name)]
        if empty:
            raise NotReady(f"model servers cannot be written: {', '.join(empty)} not set in inference's settings")

    async def _take_back(
        self, key: Key, placement: Placement, previous: Placement | None, name: str, error: CapstanError
    ) -> None:
        """The previous template comes back. A first one that can never serve goes; one that may yet come up stays."""
        with suppress(CapstanError):
            if previous is not None and previous != placement:
                log.error("model_server.taken_back", project=key[0], deployment=key[1], why=error.detail)
                await self._apply(key, previous)
                self._seen[key] = previous
                return
            self._left.pop(key, None)
            self._seen.pop(key, None)
            if previous is None and isinstance(error, InvalidData):
                await self._cluster.delete("Deployment", name)

    def _is_ours(self, key: Key, deployment: Manifest, placement: Placement) -> bool:
        return self._left.get(key) == (placement, int(deployment["metadata"]["generation"]))


def _replica_status(deployment: Manifest, diagnoses: list[str]) -> ReplicaStatus:
    available = int((deployment.get("status") or {}).get("availableReplicas") or 0)
    return ReplicaStatus(available, int(deployment["spec"].get("replicas", 1)), "; ".join(sorted(set(diagnoses))[:3]))
