"""A `kubectl` that knows one release: answers from a file, and forwards ports to servers of the test."""

from __future__ import annotations

import base64
import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.ids import SERVICES

KUBECTL = """#!{python}
import json, os, select, socket, sys, time
folder = os.path.dirname(os.path.abspath(sys.argv[0]))
arguments = sys.argv[1:]
if arguments[0] == "config":
    print("test-context"); sys.exit(0)
if arguments[0] == "--context":
    context, arguments = arguments[1], arguments[2:]
    if context != "test-context":
        sys.exit(f'error: context "{{context}}" does not exist')
namespace, arguments = arguments[1], arguments[2:]
world = json.load(open(os.path.join(folder, "world.json")))
if arguments[0] == "get" and arguments[1] == "secret":
    if arguments[2] not in world["secrets"]:
        sys.exit(f'Error from server (NotFound): secrets "{{arguments[2]}}" not found')
    print(json.dumps({{"data": world["secrets"][arguments[2]]}}))
elif arguments[0] == "get":
    wanted = dict(pair.split("=") for pair in arguments[arguments.index("--selector") + 1].split(","))
    items = [one for one in world[arguments[1]] if wanted.items() <= one["metadata"]["labels"].items()]
    items = items if namespace == "capstan" else []
    print(json.dumps({{"items": items}}))
elif arguments[0] == "port-forward":
    service, (local, _) = arguments[3].split("/")[1], arguments[4].split(":")
    open(os.path.join(folder, "forwards"), "a").write(f"{{service}} {{os.getpid()}}\\n")
    target = world["ports"][service]
    listener = socket.create_server(("127.0.0.1", int(local)))
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", target))
        pair = {{client: server, server: client}}
        while pair:
            for one in select.select(list(pair), [], [])[0]:
                data = one.recv(65536)
                if not data:
                    for end in pair: end.close()
                    pair = {{}}
                    break
                pair[one].sendall(data)
"""


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class World:
    """What the cluster holds."""

    folder: Path
    server: http.server.HTTPServer
    content: dict[str, Any] = field(
        default_factory=lambda: {"services": [], "pods": [], "secrets": {}, "ports": {}}
    )  # fmt: skip

    def add_service(self, name: str, component: str, **labels: str) -> None:
        port = self.server.server_address[1]
        all_labels = {
            "app.kubernetes.io/part-of": "capstan",
            "app.kubernetes.io/instance": "capstan",
            "app.kubernetes.io/component": component,
            **labels,
        }
        spec = {"clusterIP": "127.0.0.1", "ports": [{"name": "http", "port": port}]}
        self.content["services"].append({"metadata": {"name": name, "labels": all_labels}, "spec": spec})
        self.content["ports"][name] = port
        self.write()

    def write(self) -> None:
        draft = self.folder / "world.new"
        draft.write_text(json.dumps(self.content))
        draft.rename(self.folder / "world.json")

    def forwards(self) -> list[tuple[str, int]]:
        """Service and process of each port-forward that was started."""
        lines = (self.folder / "forwards").read_text().splitlines()
        return [(name, int(pid)) for name, pid in (line.split() for line in lines)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A cluster with a whole release, and its kubectl first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.format(python=sys.executable))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CAPSTAN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CAPSTAN_TOKEN", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = World(folder, server)
        made.content["secrets"]["capstan-token"] = {"token": base64.b64encode(b"cap_people").decode()}
        for service in SERVICES:
            made.add_service(f"capstan-{service}", service)
        yield made
        server.shutdown()
