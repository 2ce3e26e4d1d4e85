"""The home folder, its record, and the plan of ports: what a start finds there from the last one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from capstan_client.platform import plan
from capstan_client.platform.home import Home, Record
from capstan_client.platform.plan import HOST, make_plan
from capstan_client.platform.processes import started_at
from capstan_client.sdk import Capstan, Unreachable
from capstan_client.settings import own_home
from capstan_contracts.ids import SERVICES
from capstan_servicekit.http.sockets import free_port, listening_socket, port_of
from capstan_servicekit.security.auth import token_digest


@pytest.fixture
def usual_ports() -> dict[str, int]:
    """Of each service, one that nobody uses."""
    return {name: free_port(HOST) for name in SERVICES}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual_ports: dict[str, int]) -> Home:
    """An empty home, whose usual ports are ports that nobody uses."""
    monkeypatch.setattr(plan, "LOCAL_PORTS", usual_ports)
    monkeypatch.setattr(plan, "MODEL_SERVER_PORT", free_port(HOST))
    monkeypatch.setattr(plan, "BROKER_PORT", free_port(HOST))
    monkeypatch.delenv("CAPSTAN_TOKEN", raising=False)
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def close(made: plan.Plan) -> None:
    for sock in (*made.sockets.values(), made.model_server):
        sock.close()


def test_the_first_start_makes_identities_that_only_the_owner_reads(home: Home) -> None:
    passwords = home.ensure_identities()
    assert set(passwords) == {*SERVICES, "platform"}
    principals = json.loads(home.path("secrets", "principals.json").read_text())["principals"]
    by_name = {one["id"]: one for one in principals}
    assert by_name["local"]["roles"] == {"*": "admin"} and by_name["registry"]["roles"] == {"*": "service"}
    assert by_name["local"]["token_sha256"] == token_digest(home.token_file.read_text())
    for path in (home.path("secrets"), *home.path("secrets").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_later_start_keeps_the_identities(home: Home) -> None:
    first, token = home.ensure_identities(), home.token_file.read_text()
    assert home.ensure_identities() == first
    assert home.token_file.read_text() == token


@pytest.mark.parametrize("name", ["", "secrets", "objects", "db", "logs"])
def test_a_folder_that_was_open_is_closed(home: Home, name: str) -> None:
    home.path(name).chmod(0o755)
    home.prepare()
    assert stat.S_IMODE(home.path(name).stat().st_mode) == 0o700


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "ready"}', '{"unknown": 1}', "\x00"])
def test_a_record_that_cannot_be_read_is_no_record(home: Home, content: str) -> None:
    home.record_file.write_text(content)
    assert home.record() is None


def test_a_record_comes_back_as_it_was_written(home: Home) -> None:
    record = Record("ready", 7, 1.5, services={"registry": "http://127.0.0.1:7104"}, ready_s=2.5)
    home.write_record(record)
    assert home.record() == record
    assert [path.name for path in home.record_file.parent.iterdir()] == ["platform.json"]


def test_the_usual_ports_are_bound(home: Home, usual_ports: dict[str, int]) -> None:
    made = make_plan(home)
    assert made.urls == {name: f"http://{HOST}:{port}" for name, port in usual_ports.items()}
    assert made.model_server_url == f"http://{HOST}:{plan.MODEL_SERVER_PORT}"
    assert made.broker_url == f"nats://{HOST}:{plan.BROKER_PORT}"
    close(made)


def test_taken_ports_are_replaced_and_every_service_is_told(home: Home, usual_ports: dict[str, int]) -> None:
    with (
        listening_socket(HOST, usual_ports["registry"]),
        listening_socket(HOST, plan.BROKER_PORT),
        listening_socket(HOST, plan.MODEL_SERVER_PORT),
    ):
        made = make_plan(home)
        ports = {port_of(sock) for sock in (*made.sockets.values(), made.model_server)}
        assert len(ports) == 7
        assert ports.isdisjoint({usual_ports["registry"], plan.MODEL_SERVER_PORT})
        assert made.broker_port != plan.BROKER_PORT
        for service in SERVICES:
            told = made.environment(service)
            assert json.loads(told["CAPSTAN_PEERS"]) == made.urls
            assert told["CAPSTAN_PORT"] == made.urls[service].rsplit(":", 1)[1]
            assert told["CAPSTAN_BUS_URL"] == made.broker_url
            assert told["CAPSTAN_BUS_PASSWORD"] == made.passwords[service]
            assert ("CAPSTAN_INFERENCE_MODEL_SERVER_FD" in told) == (service == "inference")
        close(made)


def test_the_last_run_s_ports_are_asked_for_first(home: Home, usual_ports: dict[str, int]) -> None:
    before, usual = free_port(HOST), usual_ports["training"]
    last = {name: f"http://{HOST}:{port}" for name, port in usual_ports.items()}
    home.write_record(Record("stopped", 1, 0.0, services={**last, "training": f"http://{HOST}:{before}"}))
    made = make_plan(home)
    assert port_of(made.sockets["training"]) == before
    close(made)
    with listening_socket(HOST, before):
        again = make_plan(home)
        assert port_of(again.sockets["training"]) == usual
        close(again)


def test_interpreters_of_jobs_are_those_of_the_checkout_or_as_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSTAN_JOB_PYTHONS", '{"training": "/opt/python"}')
    assert plan.find_pythons() == {"training": "/opt/python"}
    monkeypatch.delenv("CAPSTAN_JOB_PYTHONS")
    found = plan.find_pythons()
    assert {"platform", "training"} <= set(found)
    assert all(path.endswith("bin/python") for path in found.values())


def test_the_nearest_home_upwards_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAPSTAN_HOME", raising=False)
    (tmp_path / ".capstan").mkdir()
    below = tmp_path / "pipelines" / "mine"
    below.mkdir(parents=True)
    assert own_home(below) == tmp_path / ".capstan"
    monkeypatch.setenv("CAPSTAN_HOME", str(below))
    assert own_home(tmp_path) == below


def test_a_stopped_platform_is_not_connected_to(home: Home) -> None:
    home.write_record(Record("stopped", os.getpid(), started_at(os.getpid()) or 0.0))
    with pytest.raises(Unreachable, match=r"No platform runs in .*Start it with `capstan up -d`"):
        Capstan.connect(home.folder)


def test_a_killed_supervisor_is_noticed_before_anything_is_asked(home: Home) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = started_at(process.pid) or 0.0
        process.kill()
    home.write_record(Record("ready", process.pid, started))
    with pytest.raises(Unreachable, match=r"has ended without being stopped.*capstan up -d"):
        Capstan.connect(home.folder)


def test_a_pid_that_is_somebody_else_s_now_is_not_the_platform(home: Home) -> None:
    home.write_record(Record("ready", os.getpid(), (started_at(os.getpid()) or 0.0) - 1))
    with pytest.raises(Unreachable, match="has ended without being stopped"):
        Capstan.connect(home.folder)


def test_a_token_that_is_gone_is_said_with_the_way_to_give_one(home: Home) -> None:
    home.write_record(Record("ready", os.getpid(), started_at(os.getpid()) or 0.0))
    with pytest.raises(Unreachable, match=r"secrets/token cannot be read \(No such file.*CAPSTAN_TOKEN"):
        Capstan.connect(home.folder)
