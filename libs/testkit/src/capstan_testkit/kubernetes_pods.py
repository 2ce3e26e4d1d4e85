"""A pod of a model server as a local process that is started again when it ends, as a kubelet does."""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from capstan_servicekit.settings import inherited_environment
from capstan_testkit.broker import free_port

Manifest = dict[str, Any]


def children(pid: int) -> list[int]:
    """Child processes, from the kernel."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


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
        pids = children(self.process.pid) if self.process is not None else []
        return pids[0] if pids else None

    def _environment(self) -> dict[str, str]:
        container, values = self.template["spec"]["containers"][0], {}
        volumes = {volume["name"]: volume for volume in self.template["spec"]["volumes"]}
        places = {"/tmp": str(self.home)}
        for mount in container["volumeMounts"]:
            secret = volumes[mount["name"]].get("secret")
            places[mount["mountPath"]] = str(self._secrets[secret["secretName"]] if secret else self.home)
        for variable in container["env"]:
            field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
            if field == "metadata.name":
                values[variable["name"]] = self.name
            elif field.startswith("metadata.annotations['"):
                values[variable["name"]] = self.template["metadata"]["annotations"][field.split("'")[1]]
            elif "value" in variable:
                place = next((path for path in places if variable["value"].startswith(path)), None)
                values[variable["name"]] = (
                    variable["value"] if place is None else variable["value"].replace(place, places[place], 1)
                )
        values |= {"CAPSTAN_POD_PORT": str(self.port), "CAPSTAN_POD_HOST": "127.0.0.1"}
        values["CAPSTAN_POD_TERMINATION_LOG"] = str(self._word)
        return inherited_environment() | values

    async def keep(self) -> None:
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
