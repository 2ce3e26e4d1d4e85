"""What is asked of kubectl: the program that people have, with their contexts, plugins and logins."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capstan_client.settings import current_environment

PART_OF = "app.kubernetes.io/part-of=capstan"
_PATIENCE_S = 20.0


class ClusterError(Exception):
    """Something of the cluster is not there or not allowed; the text says what to do."""


@dataclass(frozen=True)
class Target:
    """A release of the umbrella chart; an empty context is kubectl's current one."""

    context: str
    namespace: str = "capstan"
    release: str = "capstan"

    def __str__(self) -> str:
        return f"release {self.release} in namespace {self.namespace} of context {self.context}"


@dataclass(frozen=True)
class Endpoint:
    """A Service of the platform; `name` is that of its part (`registry`) or deployment (`default/flight-delay`)."""

    name: str
    service: str
    address: str
    port: int


class Kubectl:
    """kubectl against one target."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        program = shutil.which("kubectl")
        if program is None:
            raise ClusterError("kubectl is not on the PATH; it is what reaches the cluster with your logins.")
        context = ["--context", self.target.context] if self.target.context else []
        return [program, *context, "--namespace", self.target.namespace, *arguments]

    async def run(self, *arguments: str) -> str:
        """Its output; ClusterError with its last words."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=current_environment(),
        )
        try:
            async with asyncio.timeout(_PATIENCE_S):
                out, said = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ClusterError(f"kubectl {arguments[0]} did not answer within {_PATIENCE_S:g} s") from None
        if process.returncode:
            raise ClusterError(said.decode("utf-8", "replace").strip() or f"kubectl ended with {process.returncode}")
        return out.decode()

    async def objects(self, kind: str, *selectors: str) -> list[dict[str, Any]]:
        """Objects of the release by labels."""
        wanted = ",".join((PART_OF, f"app.kubernetes.io/instance={self.target.release}", *selectors))
        listing: dict[str, Any] = json.loads(await self.run("get", kind, "--selector", wanted, "--output", "json"))
        items: list[dict[str, Any]] = listing["items"]
        return items

    async def parts(self) -> dict[str, Endpoint]:
        """The Services of the six services, by name."""
        endpoints = [
            _endpoint(item, _label(item, "app.kubernetes.io/component")) for item in await self.objects("services")
        ]
        return {endpoint.name: endpoint for endpoint in endpoints}

    async def model_servers(self) -> dict[str, Endpoint]:
        """The Services of model servers, by `project/deployment`."""
        items = await self.objects("services", "app.kubernetes.io/component=model-server")
        endpoints = [
            _endpoint(item, f"{_label(item, 'capstan.dev/project')}/{_label(item, 'capstan.dev/loop')}")
            for item in items
        ]
        return {endpoint.name: endpoint for endpoint in endpoints}

    async def token(self) -> str:
        """The token that people use, from its Secret."""
        name = f"{self.target.release}-token"
        try:
            secret = json.loads(await self.run("get", "secret", name, "--output", "json"))
        except ClusterError as error:
            raise ClusterError(
                f"The token of {self.target} cannot be read ({error}). Give one of yours: CAPSTAN_TOKEN=..."
            ) from error
        return base64.b64decode(secret["data"]["token"]).decode().strip()


async def current_context() -> str:
    """kubectl's current context."""
    return (await Kubectl(Target("")).run("config", "current-context")).strip()


def connection_folder(base: Path, target: Target) -> Path:
    """Where the record of a connection lies."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in target.context)
    return base / "contexts" / f"{plain}_{target.namespace}_{target.release}"


def _label(item: dict[str, Any], name: str) -> str:
    return str(item["metadata"].get("labels", {}).get(name, ""))


def _endpoint(item: dict[str, Any], name: str) -> Endpoint:
    ports = item["spec"]["ports"]
    port = next((entry["port"] for entry in ports if entry.get("name") == "http"), ports[0]["port"])
    return Endpoint(name, item["metadata"]["name"], item["spec"].get("clusterIP", ""), int(port))
