"""One port of this machine that leads to a Service, through `kubectl port-forward`, started again when its pod goes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from capstan_client.cluster.kubectl import Endpoint, Kubectl
from capstan_client.platform.processes import die_with_parent
from capstan_client.settings import current_environment
from capstan_servicekit.http.sockets import free_port

HOST = "127.0.0.1"
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.1, 3.0, 10.0


class Forward:
    """The local port stays the same for as long as this lives."""

    def __init__(self, kubectl: Kubectl, endpoint: Endpoint, wanted_port: int = 0) -> None:
        self.endpoint, self._kubectl = endpoint, kubectl
        self.port = free_port(HOST, wanted_port)
        self.said = ""

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://{HOST}:{self.port}"

    async def run(self) -> None:
        """Until cancelled."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_S
        while True:
            began = loop.time()
            await self._once()
            pause = FIRST_PAUSE_S if loop.time() - began > STEADY_S else min(pause * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _once(self) -> None:
        ports = f"{self.port}:{self.endpoint.port}"
        process = await asyncio.create_subprocess_exec(
            *self._kubectl.command("port-forward", "--address", HOST, f"service/{self.endpoint.service}", ports),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=current_environment(),
            preexec_fn=die_with_parent,
        )
        assert process.stderr is not None
        try:
            async for line in process.stderr:
                self.said = line.decode("utf-8", "replace").strip()
                # kubectl keeps listening for a pod that is gone, and every connection would be cut.
                if "lost connection to pod" in self.said or "error forwarding port" in self.said:
                    break
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
