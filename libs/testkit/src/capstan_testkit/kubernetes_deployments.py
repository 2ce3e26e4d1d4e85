"""A small cluster in this process: Deployments are rolled out, pods are local processes, Services are TCP proxies."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from capstan_servicekit.errors import InvalidData, NotReady
from capstan_testkit.kubernetes_pods import FakePod, Manifest
from capstan_testkit.rights import Rules, forbidden

TICK_S = 0.05
#: So long after a pod was told to end do Services still send connections there, as kube-proxy does.
PROPAGATION_S = 0.5


class FakeCluster:
    """Inference's port `Cluster`, for a caller with these rights.

    It knows Deployments, Services and pods by name and label, and checks of a manifest only what its suite asks for.
    `bad_images` cannot be pulled; while it is `full`, no new pod finds a place.
    """

    namespace = "test"

    def __init__(self, folder: Path, rights: Rules) -> None:
        self._folder = folder / "pods"
        self._secrets = {name: folder / name for name in ("identity", "principals")}
        self._last_ready: dict[str, float] = {}
        self.deployments: dict[str, Manifest] = {}
        self.services: dict[str, Manifest] = {}
        self.pods: dict[str, FakePod] = {}
        self.bad_images: set[str] = set()
        self.full = False
        self._servers: dict[str, asyncio.Server] = {}
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._rights = rights

    def _may(self, verb: str, kind: str) -> None:
        """NotReady, as the API's 403 becomes one, where no rule of the Role allows it."""
        if sentence := forbidden(self._rights, verb, f"{kind.lower()}s", "apps" if kind == "Deployment" else ""):
            raise NotReady(sentence)

    def give(self, token: str, principals: Path) -> None:
        """Fill the Secrets."""
        for path in self._secrets.values():
            path.mkdir(parents=True, exist_ok=True)
        (self._secrets["identity"] / "token").write_text(token)
        shutil.copy(principals, self._secrets["principals"] / "principals.json")

    async def apply(self, kind: str, manifest: Manifest) -> Manifest:
        self._may("patch", kind)
        self._may("create", kind)  # server-side apply of what is not there yet
        manifest = json.loads(json.dumps(manifest))  # what does not survive JSON would not reach the API either
        name = manifest["metadata"]["name"]
        if kind == "Deployment":
            _check_selector(manifest)
        store = self._store(kind)
        before = store.get(name)
        generation = 1 if before is None else before["metadata"]["generation"]
        if before is not None and before["spec"] != manifest["spec"]:
            generation += 1
        manifest["metadata"]["generation"] = generation
        manifest["status"] = {} if before is None else before["status"]
        store[name] = manifest
        if kind == "Service" and name not in self._servers:
            self._servers[name] = await asyncio.start_server(
                lambda r, w: self._pipe(name, r, w), "127.0.0.1", 0, backlog=512
            )
        return copy.deepcopy(manifest)

    async def get(self, kind: str, name: str) -> Manifest | None:
        self._may("get", kind)
        return copy.deepcopy(self._store(kind).get(name))

    async def find(self, kind: str, labels: Mapping[str, str]) -> list[Manifest]:
        self._may("list", kind)
        stores: dict[str, list[Manifest]] = {
            "Deployment": list(self.deployments.values()),
            "Service": list(self.services.values()),
            "Pod": [pod.manifest() for pod in self.pods.values()],
        }
        return [
            copy.deepcopy(manifest)
            for manifest in stores[kind]
            if labels.items() <= manifest["metadata"]["labels"].items()
        ]

    async def delete(self, kind: str, name: str) -> None:
        self._may("delete", kind)
        self._store(kind).pop(name, None)

    def _store(self, kind: str) -> dict[str, Manifest]:
        return self.deployments if kind == "Deployment" else self.services

    async def close(self) -> None:
        """Nothing to close."""

    def url(self, service: str) -> str:
        """Where this machine reaches a Service."""
        return f"http://127.0.0.1:{self._servers[service].sockets[0].getsockname()[1]}"

    def of(self, name: str) -> list[FakePod]:
        """Pods of a Deployment that are not leaving."""
        return [pod for pod in self.pods.values() if pod.name.startswith(f"{name}-") and not pod.leaving]

    async def delete_pod(self, pod: FakePod, *, force: bool = False) -> None:
        """As `kubectl delete pod`."""
        if force:
            del self.pods[pod.name]
        await pod.end(force=force)
        self.pods.pop(pod.name, None)

    async def run(self) -> None:
        """The controllers."""
        while True:
            for name, deployment in list(self.deployments.items()):
                self._control(name, deployment)
            for pod in list(self.pods.values()):
                if pod.name.rsplit("-", 1)[0] not in self.deployments and not pod.leaving:
                    self._remove(pod)
            await asyncio.sleep(TICK_S)

    def _control(self, name: str, deployment: Manifest) -> None:
        wanted, template = deployment["spec"]["replicas"], deployment["spec"]["template"]
        pods = self.of(name)
        new = [pod for pod in pods if pod.template == template]
        old = [pod for pod in pods if pod.template != template]
        ready = sum(pod.ready for pod in pods)
        if len(new) < wanted and len(pods) < wanted + 1 and not self.full:
            self._add(name, template)
        for pod in old:
            if not pod.ready or ready > wanted:
                ready -= pod.ready
                self._remove(pod)
        for pod in new[wanted:]:
            self._remove(pod)
        pods = self.of(name)
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(pod.template == template for pod in pods),
            "availableReplicas": sum(pod.ready for pod in pods),
        }

    def _add(self, name: str, template: Manifest) -> None:
        pod = FakePod(f"{name}-{next(self._turn)}", copy.deepcopy(template), self._folder, self._secrets)
        self.pods[pod.name] = pod
        image = template["spec"]["containers"][0]["image"]
        if image in self.bad_images:
            pod.waiting = {"reason": "ImagePullBackOff", "message": f"no such image {image}"}
        else:
            self._spawn(pod.keep())

    def _remove(self, pod: FakePod) -> None:
        pod.leaving = True
        self._spawn(self.delete_pod(pod))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pipe(self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to one of the endpoints."""
        endpoints = self._endpoints(service)
        try:
            if not endpoints:
                return
            port = endpoints[next(self._turn) % len(endpoints)]
            upstream = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))
        except OSError:
            return
        finally:
            writer.close()

    def _endpoints(self, service: str) -> list[int]:
        """Late by the time that a change takes to reach every node."""
        now, last_ready = asyncio.get_running_loop().time(), self._last_ready
        ports = []
        for pod in self.pods.values():
            if pod.name.startswith(f"{service}-"):
                if pod.ready and not pod.leaving:
                    last_ready[pod.name] = now
                    ports.append(pod.port)
                elif pod.leaving and now - last_ready.get(pod.name, 0.0) < PROPAGATION_S:
                    ports.append(pod.port)
        return ports

    async def stop(self) -> None:
        """End everything."""
        for server in self._servers.values():
            server.close()
        self.deployments.clear()
        await asyncio.gather(*(pod.end(force=True) for pod in self.pods.values()))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)


def _check_selector(deployment: Manifest) -> None:
    """InvalidData, as the API's 422 becomes one."""
    labels = deployment["spec"]["template"]["metadata"].get("labels", {})
    if not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items():
        raise InvalidData("spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


@asynccontextmanager
async def running_cluster(folder: Path, rights: Rules) -> AsyncIterator[FakeCluster]:
    """A cluster whose controllers run, and that ends with everything in it."""
    cluster = FakeCluster(folder, rights)
    controllers = asyncio.create_task(cluster.run())
    try:
        yield cluster
    finally:
        controllers.cancel()
        await asyncio.gather(controllers, return_exceptions=True)
        await cluster.stop()
