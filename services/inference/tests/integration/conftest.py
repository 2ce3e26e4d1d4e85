"""A small cluster in this process: Deployments are rolled out, pods are local processes, Services are TCP proxies."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_servicekit.errors import NotReady
from capstan_servicekit.settings import inherited_environment
from capstan_testkit.rights import chart_rights, forbidden

Manifest = dict[str, Any]
TICK_S = 0.05
#: So long after a pod was told to end do Services still send connections there, as kube-proxy does.
PROPAGATION_S = 0.5


def children(pid: int) -> list[int]:
    """Child processes, from the kernel."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class FakePod:
    """A pod object, and its container: a local process that is started again when it ends."""

    def __init__(self, name: str, template: Manifest, folder: Path, secrets: Mapping[str, Path]) -> None:
        self.name, self.template, self._secrets = name, template, secrets
        self.home, self.port = folder / name, free_port()
        self.home.mkdir(parents=True)
        self._log = folder / f"{name}.log"
        self._word = folder / f"{name}.termination"
        self.process: asyncio.subprocess.Process | None = None
        self.ready, self.leaving, self._gone = False, False, asyncio.Event()
        self.restarts = 0
        self.last: Manifest | None = None
        self.waiting: Manifest | None = None

    def manifest(self) -> Manifest:
        """As the API shows it."""
        metadata = copy.deepcopy(self.template["metadata"]) | {"name": self.name}
        if self.leaving:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        state: Manifest = {"waiting": self.waiting} if self.waiting else {"running": {}}
        container = {"name": "model-server", "ready": self.ready, "restartCount": self.restarts, "state": state}
        container["image"] = self.template["spec"]["containers"][0]["image"]
        if self.last is not None:
            container["lastState"] = {"terminated": self.last}
        status = {"phase": "Running", "containerStatuses": [container]}
        return {"kind": "Pod", "metadata": metadata, "spec": self.template["spec"], "status": status}

    def data_plane(self) -> int | None:
        """Process id of the data plane in this pod."""
        found = children(self.process.pid) if self.process is not None else []
        return found[0] if found else None

    def _environment(self) -> dict[str, str]:
        container, values = self.template["spec"]["containers"][0], {}
        volumes = {one["name"]: one for one in self.template["spec"]["volumes"]}
        places = {"/tmp": str(self.home)}
        for mount in container["volumeMounts"]:
            secret = volumes[mount["name"]].get("secret")
            places[mount["mountPath"]] = str(self._secrets[secret["secretName"]] if secret else self.home)
        for one in container["env"]:
            field = one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
            if field == "metadata.name":
                values[one["name"]] = self.name
            elif field.startswith("metadata.annotations['"):
                values[one["name"]] = self.template["metadata"]["annotations"][field.split("'")[1]]
            elif "value" in one:
                found = next((path for path in places if one["value"].startswith(path)), None)
                values[one["name"]] = one["value"] if found is None else one["value"].replace(found, places[found], 1)
        values |= {"CAPSTAN_POD_PORT": str(self.port), "CAPSTAN_POD_HOST": "127.0.0.1"}
        values["CAPSTAN_POD_TERMINATION_LOG"] = str(self._word)
        return inherited_environment() | values

    async def kubelet(self) -> None:
        """Start, start again, until the pod is gone."""
        while not self._gone.is_set():
            self._word.unlink(missing_ok=True)
            with self._log.open("ab") as log:
                command = self.template["spec"]["containers"][0]["command"][1:]
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable, *command, env=self._environment(), stdout=log, stderr=log, cwd=self.home
                )
            if self._gone.is_set():  # deleted while it was being started
                self.process.kill()
            probe = asyncio.create_task(self._probe())
            code = await self.process.wait()
            probe.cancel()
            self.ready = False
            if self.leaving:
                break
            self.restarts += 1
            self.last = {"exitCode": code, "message": self._word.read_text() if self._word.exists() else ""}
            await asyncio.sleep(0.2)

    async def _probe(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.port}/v2/health/ready")
                    self.ready = answer.status_code == 200
                except httpx.HTTPError:
                    self.ready = False
                await asyncio.sleep(0.1)

    async def end(self, *, force: bool = False) -> None:
        """SIGTERM and patience, or SIGKILL for every process of the pod and its volumes gone."""
        self.leaving, process = True, self.process
        if process is not None and process.returncode is None:
            if force:
                self._gone.set()
                for pid in (*children(process.pid), process.pid):
                    os.kill(pid, signal.SIGKILL)
            else:
                process.terminate()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.template["spec"]["terminationGracePeriodSeconds"]):
                        await process.wait()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._gone.set()
        shutil.rmtree(self.home, ignore_errors=True)


class FakeCluster:
    """The `Cluster` port, with the rights that the chart gives.

    `bad_images` cannot be pulled; while it is `full`, no new pod finds a place.
    """

    namespace = "test"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pods"
        self._secrets = {name: folder / name for name in ("identity", "principals")}
        self._known: dict[str, float] = {}
        self.deployments: dict[str, Manifest] = {}
        self.services: dict[str, Manifest] = {}
        self.pods: dict[str, FakePod] = {}
        self.bad_images: set[str] = set()
        self.full = False
        self.applied: list[str] = []
        self._servers: dict[str, asyncio.Server] = {}
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended: list[float] = []
        self._rights = chart_rights("inference")

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
        self.applied.append(f"{kind}/{name}")
        store = self.deployments if kind == "Deployment" else self.services
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
        return copy.deepcopy(self.deployments.get(name))

    async def find(self, kind: str, labels: Mapping[str, str]) -> list[Manifest]:
        self._may("list", kind)
        stores: dict[str, list[Manifest]] = {
            "Deployment": list(self.deployments.values()),
            "Service": list(self.services.values()),
            "Pod": [pod.manifest() for pod in self.pods.values()],
        }
        return [copy.deepcopy(one) for one in stores[kind] if labels.items() <= one["metadata"]["labels"].items()]

    async def delete(self, kind: str, name: str) -> None:
        self._may("delete", kind)
        self.deployments.pop(name, None)

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
        started = asyncio.get_running_loop().time()
        await pod.end(force=force)
        self.ended.append(asyncio.get_running_loop().time() - started)
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
            self._spawn(pod.kubelet())

    def _remove(self, pod: FakePod) -> None:
        pod.leaving = True
        self._spawn(self.delete_pod(pod))

    def _spawn(self, work: Any) -> None:
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
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        except OSError:
            return
        finally:
            writer.close()

    def _endpoints(self, service: str) -> list[int]:
        """Late by the time that a change takes to reach every node."""
        now, known = asyncio.get_running_loop().time(), self._known
        found = []
        for pod in self.pods.values():
            if pod.name.startswith(f"{service}-"):
                if pod.ready and not pod.leaving:
                    known[pod.name] = now
                    found.append(pod.port)
                elif pod.leaving and now - known.get(pod.name, 0.0) < PROPAGATION_S:
                    found.append(pod.port)
        return found

    async def stop(self) -> None:
        """End everything."""
        for server in self._servers.values():
            server.close()
        self.deployments.clear()
        await asyncio.gather(*(pod.end(force=True) for pod in self.pods.values()))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


@pytest.fixture
async def fake_cluster(tmp_path: Path) -> AsyncIterator[FakeCluster]:
    """A cluster with two Secrets, `identity` and `principals`, which `give` fills."""
    cluster = FakeCluster(tmp_path / "cluster")
    controllers = asyncio.create_task(cluster.run())
    yield cluster
    controllers.cancel()
    await asyncio.gather(controllers, return_exceptions=True)
    await cluster.stop()
