"""What will run where: sockets are bound before anything starts, so that no port is lost between look and use."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from pathlib import Path

from capstan_client.platform.home import Home
from capstan_client.settings import chosen_job_pythons
from capstan_contracts.ids import SERVICES
from capstan_servicekit.http.sockets import free_port, listening_socket, port_of
from capstan_servicekit.settings import LOCAL_PORTS

HOST = "127.0.0.1"
MODEL_SERVER_PORT = 7110
BROKER_PORT = 7122


@dataclass
class Plan:
    """Listening sockets, addresses and the environment of each service."""

    home: Home
    sockets: dict[str, socket.socket]
    model_server: socket.socket
    broker_port: int
    passwords: dict[str, str]
    pythons: dict[str, str]
    urls: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.urls = {name: f"http://{HOST}:{port_of(sock)}" for name, sock in self.sockets.items()}

    @property
    def broker_url(self) -> str:
        """Where services find the broker."""
        return f"nats://{HOST}:{self.broker_port}"

    @property
    def model_server_url(self) -> str:
        """Where predictions are asked for."""
        return f"http://{HOST}:{port_of(self.model_server)}"

    def environment(self, service: str) -> dict[str, str]:
        """The settings of a service, as variables."""
        common = {
            "CAPSTAN_HOME": str(self.home.folder),
            "CAPSTAN_PORT": str(port_of(self.sockets[service])),
            "CAPSTAN_BUS_URL": self.broker_url,
            "CAPSTAN_BUS_PASSWORD": self.passwords[service],
            "CAPSTAN_PEERS": json.dumps(self.urls),
            "CAPSTAN_JOB_PYTHONS": json.dumps(self.pythons),
        }
        if service == "training" and self.home.trust_file.exists():
            common["CAPSTAN_TRAINING_TRUST_RECIPES"] = "true"
        if service == "inference":
            common["CAPSTAN_INFERENCE_MODEL_SERVER_FD"] = str(self.model_server.fileno())
            common["CAPSTAN_INFERENCE_MODEL_SERVER_URL"] = self.model_server_url
        return common


def make_plan(home: Home) -> Plan:
    """Bind the usual ports, or free ones where those are taken; the previous run's ports are asked for first."""
    passwords = home.ensure_identities()
    last = home.record()
    before = {name: int(url.rsplit(":", 1)[1]) for name, url in (last.services if last else {}).items()}
    sockets = {
        name: listening_socket(HOST, before.get(name, LOCAL_PORTS[name]), LOCAL_PORTS[name], 0) for name in SERVICES
    }
    model_before = int(last.model_server.rsplit(":", 1)[1]) if last and last.model_server else MODEL_SERVER_PORT
    model_server = listening_socket(HOST, model_before, MODEL_SERVER_PORT, 0)
    return Plan(home, sockets, model_server, free_port(HOST, BROKER_PORT), passwords, find_pythons())


def find_pythons() -> dict[str, str]:
    """Interpreters of the job groups: as chosen by the user, else those of the checkout this package lies in."""
    if chosen := chosen_job_pythons():
        given: dict[str, str] = json.loads(chosen)
        return given
    for folder in Path(__file__).resolve().parents:
        if (folder / ".venvs").is_dir():
            job_pythons = {python.parents[1].name: str(python) for python in sorted(folder.glob(".venvs/*/bin/python"))}
            return {"platform": str(folder / ".venv" / "bin" / "python"), **job_pythons}
    return {}
