"""The model server's process: started by the control, spoken to over stdin and stdout, gone when stdin ends.

Before it takes the first connection it seals what a dead predecessor left in the spool and loads every placed model;
until then connections wait in the backlog of the socket, which it inherits.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, BinaryIO

import uvicorn
import uvloop

from capstan_inference.dataplane.access import Access
from capstan_inference.dataplane.config import Placement, ServerConfig
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.http import ModelApp
from capstan_inference.dataplane.log import PredictionLog, claim_spool
from capstan_inference.dataplane.models import Models
from capstan_inference.dataplane.request_errors import INTERNAL, RequestError
from capstan_servicekit.http.senders import LimitedServer, limited

log = logging.getLogger(__name__)


class _JsonLines(logging.Formatter):
    """Lines of the same shape as those of the services."""

    def __init__(self, ids: dict[str, str]) -> None:
        super().__init__()
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        line = self._ids | {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "service": "inference",
            "part": "model-server",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class ModelServer:
    """Everything of one process."""

    def __init__(self, config: ServerConfig, answers: BinaryIO) -> None:
        self._config, self._answers = config, answers
        self._claim = claim_spool(config.spool)
        counters = Counters()
        self._models = Models(config.online, counters)
        self._log = PredictionLog(config.spool, config.limits, counters)
        self._app = ModelApp(self._models, self._log, Access(config.principals), config.limits)
        self._commands: set[asyncio.Task[None]] = set()
        self._server = LimitedServer(
            uvicorn.Config(
                self._app,
                loop="none",
                http=limited(config.limits.senders),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, int(config.limits.grace_s)),
            )
        )

    async def run(self, commands: BinaryIO) -> None:
        """Load, serve, and seal the log at the end."""
        loop = asyncio.get_running_loop()
        for project, deployment, detail in self._config.missing:
            self._models.refuse(project, deployment, detail)
        refused = [refusal for placement in self._config.placements if (refusal := await self._try(placement))]
        if refused and self._config.all_or_nothing:
            self._tell({"ready": 0, "refused": refused})
            return
        self._log.start(loop)
        threading.Thread(target=self._listen, args=(loop, commands), daemon=True).start()
        serving = asyncio.create_task(self._server.serve([socket.socket(fileno=self._config.socket_fd)]))
        while not self._server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        # What is loaded by now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        self._tell({"ready": os.getpid(), "refused": refused})
        await serving
        self._app.close()
        await asyncio.to_thread(self._log.close)
        self._models.close()

    async def _try(self, placement: Placement) -> dict[str, Any] | None:
        try:
            await asyncio.to_thread(self._models.place, placement)
        except RequestError as refusal:
            log.error("model.not_loaded %s %s: %s", placement.project, placement.deployment, refusal.detail)
            self._models.refuse(placement.project, placement.deployment, refusal.detail)
            return {"project": placement.project, "deployment": placement.deployment, "detail": refusal.detail}
        return None

    def _listen(self, loop: asyncio.AbstractEventLoop, commands: BinaryIO) -> None:
        """A thread: commands as they come. When they end the parent is gone, and so is this process soon."""
        for line in commands:
            loop.call_soon_threadsafe(self._begin, json.loads(line))
        self._server.should_exit = True
        time.sleep(self._config.limits.grace_s + 2)
        os._exit(1)

    def _begin(self, command: dict[str, Any]) -> None:
        task = asyncio.create_task(self._obey(command))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)

    async def _obey(self, command: dict[str, Any]) -> None:
        try:
            self._tell({"id": command["id"], "ok": await self._do(command)})
        except RequestError as refusal:
            self._tell({"id": command["id"], "error": {"code": refusal.code, "detail": refusal.detail}})
        except Exception as error:  # the process edge: the control is told, whatever it was
            log.exception("command.failed")
            self._tell({"id": command["id"], "error": {"code": INTERNAL, "detail": f"{type(error).__name__}: {error}"}})

    async def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["do"] == "load":
            started = time.perf_counter()
            await asyncio.to_thread(self._models.place, Placement.from_json(command["placement"]))
            return {"seconds": round(time.perf_counter() - started, 6)}
        if command["do"] == "drain":
            self._app.leaving = True
            return {}
        if command["do"] == "status":
            return {"open_records": self._log.open_records}
        sealed: dict[str, Any] = await self._log.flush(command["project"], command["deployment"])
        return sealed

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._answers.write(json.dumps(message).encode() + b"\n")
            self._answers.flush()
        except BrokenPipeError:
            log.warning("control.gone")


def main() -> None:
    """`python -m capstan_inference serve-model`: the configuration is the first line on stdin."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not speak to the control
    handler = logging.StreamHandler(sys.stderr)
    line = sys.stdin.buffer.readline()
    if not line:
        raise SystemExit("serve-model is started by the inference service, which configures it over stdin")
    config = ServerConfig.from_json(json.loads(line))
    handler.setFormatter(_JsonLines(config.log_ids))
    logging.basicConfig(handlers=[handler], level="WARNING")
    logging.getLogger("capstan_inference").setLevel(config.log_level)
    # uvicorn raises the signal again after a graceful end; the log is sealed only after that.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = ModelServer(config, answers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.run(sys.stdin.buffer))
    os._exit(0)
