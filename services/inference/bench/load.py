"""Requests per second of the model server on this machine: single rows and 64 rows, with and without feature lookup.

    .venv/bin/python services/inference/bench/load.py [--seconds 3] [--repetitions 3] [--kserve PYTHON]

The server is the real process with token check, prediction log and fsync; the load comes from this process over
loopback on 16 kept-alive connections. Server CPU per request is the steadiest figure on a shared machine.
With `--kserve`, KServe's Python server answers the same bodies from the same booster in turn (kserve_model.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server, socket
from typing import Any, cast

import lightgbm
import numpy as np
import uvloop

from capstan_formats.online import EntityRow, OnlineColumn, OnlineSchema, OnlineWriter
from capstan_formats.preprocess import KeySource
from capstan_packages.fields import EntityLookup
from capstan_packages.signature import InputField, Signature, outputs_of
from capstan_servicekit.security.principals import new_token, token_digest, write_secret
from capstan_testkit.packages import build_package

Timing = tuple[float, float, float, float, int]
CONNECTIONS, ENTITIES, BODIES = 16, 10_000, 128
NUMBERS = [f"n{index}" for index in range(12)]
LOOKED_UP = [f"v__f{index}" for index in range(10)]


def trained(columns: list[str]) -> str:
    """LightGBM's text of 100 trees of 31 leaves on these columns."""
    random = np.random.default_rng(7)
    matrix = random.normal(size=(20_000, len(columns)))
    label = (matrix @ random.normal(size=len(columns)) + random.normal(size=20_000) > 0).astype(float)
    settings = {"objective": "binary", "num_leaves": 31, "num_threads": 2, "verbosity": -1}
    data = lightgbm.Dataset(matrix, label, feature_name=columns)
    text: str = lightgbm.train(settings, data, num_boost_round=100).model_to_string()
    return text


def package(folder: Path, lookups: bool) -> tuple[str, Path]:
    """That model of 12 numbers; with lookups, of 2 of them and 10 features of one view."""
    sent = NUMBERS[:2] if lookups else NUMBERS
    read = LOOKED_UP if lookups else []
    columns = [*sent, *read]
    view = EntityLookup("v", "a" * 64, {"k": KeySource("k")}, tuple(LOOKED_UP), None)
    inputs = [InputField(name, "float64") for name in sent] + [InputField(name, "float64", "v") for name in read]
    signature = Signature((*inputs, *([InputField("k", "int64")] if lookups else [])), outputs_of("binary"))
    built = build_package(
        folder / f"package-{lookups}",
        [{"op": "numeric", "column": name} for name in columns],
        model=trained(columns).encode(),
        name="bench",
        signature=signature,
        lookups=(view,) if lookups else (),
    )
    return built.digest, built.path


def online(folder: Path) -> None:
    """One view of 10 numbers for 10,000 entities."""
    folder.mkdir(parents=True)
    columns = tuple(OnlineColumn(name.removeprefix("v__"), "float64") for name in LOOKED_UP)
    schema = OnlineSchema("v", "a" * 64, (OnlineColumn("k", "int64"),), columns, None)
    values = tuple(np.random.default_rng(1).normal(size=10).tolist())
    with OnlineWriter(folder, schema) as writer:
        writer.write(EntityRow((key,), 1, 1, values) for key in range(ENTITIES))
        writer.commit()


def request(model: str, token: str, rows: int, random: np.random.Generator) -> bytes:
    """The bytes of one V1 request."""
    names = [*NUMBERS[:2], "k"] if model == "lookup" else NUMBERS
    instances = [
        {name: int(random.integers(ENTITIES)) if name == "k" else float(random.normal()) for name in names}
        for _ in range(rows)
    ]
    body = json.dumps({"instances": instances}).encode()
    head = f"POST /v1/models/{model}:predict HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Run:
    """What one run saw."""

    bodies: list[bytes]
    until: float
    latencies: list[float] = field(default_factory=list)
    errors: int = 0


class Client(asyncio.Protocol):
    """One connection: the next request leaves when the answer is whole."""

    def __init__(self, run: Run, offset: int, done: asyncio.Future[None]) -> None:
        self._run, self._turn, self._done, self._buffer = run, offset, done, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is none by inheritance
        self._send()

    def _send(self) -> None:
        self._turn += 1
        self._started = time.perf_counter()
        self._transport.write(self._run.bodies[self._turn % len(self._run.bodies)])

    def data_received(self, data: bytes) -> None:
        """Count one answer."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.index(b"content-length: ") + 16
        size = int(self._buffer[at : self._buffer.index(b"\r\n", at)])
        if len(self._buffer) < end + 4 + size:
            return
        now = time.perf_counter()
        self._run.latencies.append(now - self._started)
        self._run.errors += not self._buffer.startswith(b"HTTP/1.1 200")
        self._buffer = b""
        if now < self._run.until:
            self._send()
        else:
            self._transport.close()
            self._done.set_result(None)


async def measure(port: int, bodies: list[bytes], seconds: float) -> Run:
    """One run over all connections."""
    loop = asyncio.get_running_loop()
    run = Run(bodies, time.perf_counter() + seconds)
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    for index, end in enumerate(ends):
        await loop.create_connection(lambda i=index, e=end: Client(run, i * 7, e), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return run


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Proportional set size."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    """Print one line per shape: medians over the repetitions."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3, help="of each repetition")
    arguments.add_argument("--repetitions", type=int, default=3)
    arguments.add_argument("--kserve", metavar="PYTHON", help="interpreter that has kserve and lightgbm")
    chosen = arguments.parse_args()
    seconds, repetitions = chosen.seconds, chosen.repetitions
    with tempfile.TemporaryDirectory() as name:
        home, token = Path(name), new_token()
        entry = {"id": "bench", "kind": "user", "roles": {"*": "operator"}, "token_sha256": token_digest(token)}
        write_secret(home / "principals.json", json.dumps({"principals": [entry]}))
        online(home / "online" / "default")
        listening = create_server(("127.0.0.1", 0), backlog=512)
        placements: list[dict[str, Any]] = []
        for model, lookups in (("plain", False), ("lookup", True)):
            digest, path = package(home, lookups)
            placements.append({"project": "default", "deployment": model, "version": 1, "revision": 1})
            placements[-1] |= {"package": digest, "path": str(path)}
        config = {"socket_fd": listening.fileno(), "spool": f"{home}/spool", "online": f"{home}/online"}
        config |= {"principals": f"{home}/principals.json", "placements": placements}
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "capstan_inference", "serve-model"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listening.fileno()],
            env={"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(config).encode() + b"\n")
        server.stdin.flush()
        print(server.stdout.readline().decode().strip(), f"PSS {pss_mb(server.pid):.1f} MB")
        port, random = listening.getsockname()[1], np.random.default_rng(3)
        servers = {"capstan": (server.pid, port)}
        with ExitStack() as stack:
            if chosen.kserve:
                servers["kserve"] = stack.enter_context(kserve(chosen.kserve, home))
            for model, rows in (("plain", 1), ("lookup", 1), ("plain", 64), ("lookup", 64)):
                asked = servers if model == "plain" else {"capstan": servers["capstan"]}
                bodies = [request(model, token, rows, random) for _ in range(BODIES)]
                compare(asked, bodies, f"{model:7}{rows:3} rows", seconds, repetitions)
        print(f"PSS {pss_mb(server.pid):.1f} MB")
        server.stdin.close()
        server.wait(10)


def compare(
    servers: dict[str, tuple[int, int]], bodies: list[bytes], shape: str, seconds: float, repetitions: int
) -> None:
    """One line per server; they take turns, so that a busy neighbour of this machine meets them alike."""
    for _, port in servers.values():
        uvloop.run(measure(port, bodies, 0.5))
    runs: dict[str, list[Timing]] = {name: [] for name in servers}
    for _ in range(repetitions):
        for name, (pid, port) in servers.items():
            runs[name].append(timed(pid, port, bodies, seconds))
    for name, timings in runs.items():
        report(f"{shape} {name}", timings)
    if len(runs) == 2:
        ours, theirs = runs.values()
        rate = statistics.median(a[0] / b[0] for a, b in zip(ours, theirs, strict=True))
        cpu = statistics.median(b[3] / a[3] for a, b in zip(ours, theirs, strict=True))
        print(f"{shape}: {rate:.2f} times KServe's requests/s, {cpu:.2f} times as little CPU (medians of the turns)")


@contextmanager
def kserve(python: str, home: Path) -> Iterator[tuple[int, int]]:
    """KServe's server with the booster of `plain`: (process id, port)."""
    booster = home / "booster.txt"
    booster.write_text(trained(NUMBERS))
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [python, str(Path(__file__).with_name("kserve_model.py")), str(booster), str(port), ",".join(NUMBERS)]
    server = subprocess.Popen(
        command, env={"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_open(port)
        yield server.pid, port
    finally:
        server.terminate()
        server.wait(10)


def wait_until_open(port: int, seconds: float = 60) -> None:
    """Until a server accepts connections.

    Raises:
        TimeoutError: none does in time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nothing listens on port {port} after {seconds:.0f} s")


def timed(pid: int, port: int, bodies: list[bytes], seconds: float) -> Timing:
    """(requests/s, p50 ms, p99 ms, server CPU us/request, errors) of one run."""
    before, started = cpu_seconds(pid), time.perf_counter()
    run = uvloop.run(measure(port, bodies, seconds))
    took, spent = time.perf_counter() - started, cpu_seconds(pid) - before
    ordered = sorted(run.latencies)
    count = len(ordered)
    p50, p99 = ordered[count // 2] * 1e3, ordered[int(count * 0.99)] * 1e3
    return count / took, p50, p99, spent / count * 1e6, run.errors


def report(name: str, runs: list[Timing]) -> None:
    """One line."""
    rate, p50, p99, cpu = (statistics.median(run[index] for run in runs) for index in range(4))
    errors = sum(run[4] for run in runs)
    print(
        f"{name:24} {rate:8.0f} requests/s  p50 {p50:5.2f} ms  p99 {p99:5.2f} ms  "
        f"server CPU {cpu:5.0f} us/request  errors {errors}"
    )


if __name__ == "__main__":
    main()
