"""A Kubernetes API in memory, as far as Jobs go: a pod's command runs as a process of this machine.

It keeps Jobs, pods, Secrets and logs, and does what the job controller, the scheduler and the kubelet do with them:
deadline, deletion, eviction, missing images, missing Secrets, memory limits; and what the rules of a Role do not allow
is forbidden. It does not simulate watches, fields that it does not use, or more than one container in a pod.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from capstan_servicekit.settings import inherited_environment
from capstan_testkit.listening import free_socket, listening
from capstan_testkit.rights import Rules, forbidden

JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"
PODS = "/api/v1/namespaces/{namespace}/pods"
SECRETS = "/api/v1/namespaces/{namespace}/secrets"
Handler = Callable[[Request], Awaitable[Response]]
_BEAT_S = 0.05


def now() -> str:
    """As the API writes times of objects."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _log_time() -> str:
    """As the kubelet writes them: nanoseconds, here with trailing zeros left away."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0") + "Z"


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    """A condition of a Job or a pod."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _status(code: int, message: str) -> Response:
    return JSONResponse({"kind": "Status", "status": "Failure", "code": code, "message": message}, status_code=code)


@dataclass
class Pod:
    """A pod, its process and what it has written."""

    object: dict[str, Any]
    folder: Path
    process: asyncio.subprocess.Process | None = None
    lines: list[tuple[str, bytes]] = field(default_factory=list)
    over: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.object["metadata"]["name"])

    def shows(self, state: dict[str, Any], phase: str) -> None:
        """Set the container's state and the pod's phase."""
        self.object["status"]["phase"] = phase
        self.object["status"]["containerStatuses"] = [{"name": "run", "state": state}]

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal every process of the pod."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class FakeKubernetes:
    """The API server as an ASGI app, and the hands behind it. `programs` replaces what is in the image.

    `rights`: the rules of the caller's Role; None for one who may do everything.
    """

    def __init__(self, programs: Mapping[str, str], *, cpus: float = 2.0, rights: Rules | None = None) -> None:
        self._programs, self._cpus, self._rights = dict(programs), cpus, rights
        self.absent_images: set[str] = set()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, Pod] = {}
        self.requests: list[tuple[str, str]] = []
        self.broken = False
        self._cut = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                self._route(JOBS, self._create_job, "POST", "create", "jobs", "batch"),
                self._route(JOBS, self._list_jobs, "GET", "list", "jobs", "batch"),
                self._route(JOBS + "/{name}", self._delete_job, "DELETE", "delete", "jobs", "batch"),
                self._route(SECRETS, self._create_secret, "POST", "create", "secrets"),
                self._route(PODS, self._list_pods, "GET", "list", "pods"),
                self._route(PODS + "/{name}/log", self._log, "GET", "get", "pods/log"),
            ]
        )

    def _route(self, path: str, handler: Handler, method: str, verb: str, resource: str, group: str = "") -> Route:
        """A route that asks for a right first (RBAC's verb, resource and API group)."""

        async def guarded(request: Request) -> Response:
            if self._rights is not None and (sentence := forbidden(self._rights, verb, resource, group)):
                return _status(403, sentence)
            return await handler(request)

        return Route(path, guarded, methods=[method])

    def take_rights(self) -> None:
        """The caller may do nothing from now on."""
        self._rights = ()

    def evict(self) -> None:
        """Take the running pods away as a node does that is drained: their Jobs make new ones."""
        for pod in self.pods.values():
            if not pod.over:
                disruption = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "drained")
                pod.object["status"].setdefault("conditions", []).append(disruption)
                pod.kill(signal.SIGTERM)

    def delete_pods(self) -> None:
        """What `kubectl delete pod` does: their Jobs fail."""
        for pod in list(self.pods.values()):
            pod.object["metadata"]["deletionTimestamp"] = now()
            pod.kill(signal.SIGTERM)

    def cut_logs(self) -> None:
        """Break every log stream that is open now."""
        self._cut += 1

    @property
    def going(self) -> list[str]:
        """Pods whose process runs."""
        return [pod.name for pod in self.pods.values() if pod.process is not None and not pod.over]

    async def close(self) -> None:
        """Kill everything."""
        for pod in list(self.pods.values()):
            await self._remove(pod)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _create_job(self, request: Request) -> Response:
        if self.broken:
            return _status(503, "etcd is not there")
        job = await request.json()
        name = job["metadata"]["name"]
        self.requests.append(("POST job", name))
        if name in self.jobs:
            return _status(409, f'jobs.batch "{name}" already exists')
        job["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        job["status"] = {"conditions": []}
        self.jobs[name] = job
        task = asyncio.create_task(self._control(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse(job, status_code=201)

    async def _create_secret(self, request: Request) -> Response:
        secret = await request.json()
        name = secret["metadata"]["name"]
        if name in self.secrets:
            return _status(409, f'secrets "{name}" already exists')
        self.secrets[name] = secret
        return JSONResponse(secret, status_code=201)

    async def _list_jobs(self, request: Request) -> Response:
        return self._selected(request, list(self.jobs.values()))

    async def _list_pods(self, request: Request) -> Response:
        return self._selected(request, [pod.object for pod in self.pods.values()])

    def _selected(self, request: Request, things: list[dict[str, Any]]) -> Response:
        if self.broken:
            return _status(503, "etcd is not there")
        key, _, value = request.query_params["labelSelector"].partition("=")
        return JSONResponse({"items": [thing for thing in things if thing["metadata"]["labels"].get(key) == value]})

    async def _delete_job(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.requests.append(("DELETE job", name))
        if self.jobs.pop(name, None) is None:
            return _status(404, f'jobs.batch "{name}" not found')
        self.secrets.pop(name, None)
        for pod in self._of(name):
            await self._remove(pod)
        return JSONResponse({"kind": "Status", "status": "Success"})

    async def _log(self, request: Request) -> Response:
        pod = self.pods.get(request.path_params["name"])
        if pod is None:
            return _status(404, "no such pod")
        since = request.query_params.get("sinceTime", "")[:19]

        async def stream() -> AsyncIterator[bytes]:
            sent, cut = 0, self._cut
            while True:
                while sent < len(pod.lines):
                    time, line = pod.lines[sent]
                    sent += 1
                    if time[:19] >= since:
                        yield time.encode() + b" " + line + b"\n"
                if pod.over or self._cut != cut:
                    return
                await asyncio.sleep(_BEAT_S)

        return StreamingResponse(stream(), media_type="text/plain")

    def _of(self, job: str) -> list[Pod]:
        wanted = "batch.kubernetes.io/job-name"
        return [pod for pod in self.pods.values() if pod.object["metadata"]["labels"][wanted] == job]

    async def _control(self, name: str) -> None:
        """The job controller: pods until one comes to its own end, or the deadline."""
        spec = self.jobs[name]["spec"]
        try:
            async with asyncio.timeout(spec.get("activeDeadlineSeconds")):
                while name in self.jobs and await self._one_pod(name):
                    pass
        except TimeoutError:
            for pod in self._of(name):
                await self._remove(pod)
            self._ends(name, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")

    async def _one_pod(self, name: str) -> bool:
        """Whether another one is needed: this one was disrupted."""
        job = self.jobs[name]
        labels = {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": name}
        pod = Pod(
            {
                "metadata": {"name": f"{name}-{uuid.uuid4().hex[:5]}", "labels": labels, "creationTimestamp": now()},
                "spec": job["spec"]["template"]["spec"],
                "status": {"phase": "Pending", "conditions": []},
            },
            Path(tempfile.mkdtemp()),
        )
        self.pods[pod.name] = pod
        await self._keep(pod, name)
        conditions = pod.object["status"]["conditions"]
        disrupted = any(entry["type"] == "DisruptionTarget" for entry in conditions)
        if disrupted:
            await asyncio.sleep(1)  # times of objects have seconds: the new pod has to be the newer one
        elif pod.object["status"]["phase"] == "Succeeded":
            self._ends(name, "Complete", "CompletionsReached", "")
        else:
            self._ends(name, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        if "deletionTimestamp" in pod.object["metadata"]:
            await self._remove(pod)
        return disrupted

    def _ends(self, name: str, kind: str, reason: str, message: str) -> None:
        if name in self.jobs:
            self.jobs[name]["status"]["conditions"].append(condition(kind, "True", reason, message))

    async def _keep(self, pod: Pod, job: str) -> None:
        """Scheduler and kubelet: wait until it can start, run it, say how it ended."""
        container = pod.object["spec"]["containers"][0]
        while self._hindrance(pod, container) is not None:
            await asyncio.sleep(_BEAT_S)
            if job not in self.jobs:
                return
        await self._start(pod, container)
        process = pod.process
        assert process is not None and process.stdout is not None
        watch = asyncio.create_task(self._watch_memory(pod, container))
        try:
            while line := await process.stdout.readline():
                pod.lines.append((_log_time(), line.rstrip(b"\n")))
            status = await process.wait()
        finally:
            pod.kill()
            watch.cancel()
        code = 128 - status if status < 0 else status
        ended = {"exitCode": code, "reason": "OOMKilled" if watch.done() else "Error" if code else "Completed"}
        if code and pod.lines:
            ended["message"] = b"\n".join(line for _, line in pod.lines[-5:]).decode("utf-8", "replace")
        pod.shows({"terminated": ended}, "Failed" if code else "Succeeded")
        pod.over = True

    def _hindrance(self, pod: Pod, container: dict[str, Any]) -> str | None:
        cpu = container["resources"]["requests"]["cpu"]
        if float(cpu.removesuffix("m")) / 1000 > self._cpus:
            unscheduled = condition(
                "PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu."
            )
            pod.object["status"]["conditions"] = [unscheduled]
            return "Unschedulable"
        reason, message = "", ""
        if container["image"] in self.absent_images:
            reason, message = "ErrImagePull", f'failed to pull "{container["image"]}": not found'
        wanted = [e["valueFrom"]["secretKeyRef"]["name"] for e in container["env"] if "valueFrom" in e]
        if missing := [name for name in wanted if name not in self.secrets]:
            reason, message = "CreateContainerConfigError", f'secret "{missing[0]}" not found'
        if reason:
            pod.shows({"waiting": {"reason": reason, "message": message}}, "Pending")
        return reason or None

    async def _start(self, pod: Pod, container: dict[str, Any]) -> None:
        environment = inherited_environment()
        for variable in container["env"]:
            value = variable.get("value", "")
            if source := variable.get("valueFrom"):
                reference = source["secretKeyRef"]
                value = self.secrets[reference["name"]]["stringData"][reference["key"]]
            environment[variable["name"]] = re.sub(r"^/(tmp|var/lib/capstan)", str(pod.folder), value)
        program, *arguments = container["command"]
        pod.process = await asyncio.create_subprocess_exec(
            self._programs.get(program, program),
            *arguments,
            cwd=pod.folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=1 << 24,
        )
        pod.shows({"running": {"startedAt": now()}}, "Running")

    @staticmethod
    async def _watch_memory(pod: Pod, container: dict[str, Any]) -> None:
        """Returns after it has killed the pod for its memory."""
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi")) << 20
        assert pod.process is not None
        while await asyncio.to_thread(_held, pod.process.pid) <= limit:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        pod.kill()

    async def _remove(self, pod: Pod) -> None:
        pod.kill()
        if pod.process is not None:
            await pod.process.wait()
        pod.over = True
        self.pods.pop(pod.name, None)
        await asyncio.to_thread(shutil.rmtree, pod.folder, ignore_errors=True)


def _held(group: int) -> int:
    """Resident bytes of a process group."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group:
                total += int(fields[21]) * page
    return total


KUBECONFIG = """apiVersion: v1
kind: Config
current-context: fake
contexts: [{name: fake, context: {cluster: fake, user: fake, namespace: runs}}]
clusters: [{name: fake, cluster: {server: "URL"}}]
users: [{name: fake, user: {}}]
"""


@asynccontextmanager
async def served(
    programs: Mapping[str, str], folder: Path, **options: Any
) -> AsyncIterator[tuple[FakeKubernetes, Path]]:
    """The fake behind a real port, and a kubeconfig for it."""
    fake = FakeKubernetes(programs, **options)
    sock = free_socket()
    file = folder / "kubeconfig"
    file.write_text(KUBECONFIG.replace("URL", f"http://127.0.0.1:{sock.getsockname()[1]}"))
    async with listening(fake.app, sock):
        try:
            yield fake, file
        finally:
            await fake.close()
