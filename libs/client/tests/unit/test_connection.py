"""A connection to a release: found by labels, forwarded, followed, and ended with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_client.cluster.kubectl import Target, connection_folder
from capstan_client.platform.home import Home, Record
from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.transport import Unreachable
from capstan_contracts.ids import SERVICES

TARGET = Target("test-context")


def capstan(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from capstan_client.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def until(condition: Callable[[], Any], timeout: float = 20) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@contextmanager
def connection(tmp_path: Path, via: str = "forward") -> Iterator[Home]:
    home = Home(connection_folder(tmp_path / "home", TARGET))
    home.prepare()
    process = subprocess.Popen(
        [sys.executable, "-m", "capstan_client.cluster", str(home.folder), "test-context", "capstan", "capstan", via]
    )
    try:
        until(lambda: process.poll() is not None or _ready(home))
        assert process.poll() is None
        yield home
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _ready(home: Home) -> Record | None:
    record = home.record()
    return record if record is not None and record.state == "ready" else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_service_answers_at_a_port_of_this_machine(world: Any, tmp_path: Path) -> None:
    with connection(tmp_path) as home:
        record = home.record()
        assert record is not None
        assert sorted(record.services) == sorted(SERVICES)
        assert len(set(record.services.values())) == len(SERVICES)
        assert all(httpx.get(f"{url}/healthz").status_code == 200 for url in record.services.values())
        assert home.token_file.read_text() == "cap_people"
        assert home.token_file.stat().st_mode & 0o077 == 0
    ended = [pid for _, pid in world.forwards()]
    until(lambda: not any(_runs(pid) for pid in ended))
    stopped = home.record()
    assert stopped is not None and stopped.state == "stopped"


def test_a_forward_whose_pod_goes_comes_back_at_the_same_port(world: Any, tmp_path: Path) -> None:
    with connection(tmp_path) as home:
        record = home.record()
        assert record is not None
        pid = dict(world.forwards())["capstan-registry"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: dict(world.forwards())["capstan-registry"] != pid)
        until(lambda: _healthy(record.services["registry"]))


def test_a_model_server_that_comes_later_is_found(world: Any, tmp_path: Path) -> None:
    with connection(tmp_path) as home:
        one = Capstan.connect(home.folder)
        with pytest.raises(Unreachable, match="No model server for default/flight-delay"):
            one.model_server.url("flight-delay")
        labels = {"capstan.dev/project": "default", "capstan.dev/loop": "flight-delay"}
        world.add_service("model-flight-delay-1a2b3c4d", "model-server", **labels)
        record = until(lambda: (found := _ready(home)) and found.model_servers and found)
        assert one.model_server.url("flight-delay") == record.model_servers["default/flight-delay"]
        until(lambda: _healthy(record.model_servers["default/flight-delay"]))


def test_addresses_of_services_are_used_where_they_are_routed(world: Any, tmp_path: Path) -> None:
    with connection(tmp_path, via="service") as home:
        record = home.record()
        assert record is not None
        port = world.server.server_address[1]
        assert set(record.services.values()) == {f"http://127.0.0.1:{port}"}
        assert not (world.folder / "forwards").exists()


def test_a_release_that_is_not_there_says_what_to_do(world: Any, tmp_path: Path) -> None:
    done = capstan("--context", "test-context", "--namespace", "elsewhere", "connect", "-d")
    assert done.returncode == 1
    assert "no release capstan in namespace elsewhere of context test-context" in done.stderr
    assert "make deploy" in done.stderr


def test_an_unknown_context_is_named(world: Any) -> None:
    done = capstan("--context", "mine", "status")
    assert done.returncode == 1
    assert 'context "mine" does not exist' in done.stderr


def test_a_secret_that_may_not_be_read_asks_for_a_token(world: Any, tmp_path: Path) -> None:
    world.content["secrets"] = {}
    world.write()
    done = capstan("connect", "-d")
    assert done.returncode == 1
    assert "CAPSTAN_TOKEN" in done.stderr


def test_the_same_commands_with_a_context(world: Any, tmp_path: Path) -> None:
    pod = {
        "metadata": {"name": "capstan-registry-0", "labels": world.content["services"][3]["metadata"]["labels"]},
        "spec": {"containers": [{}, {}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"ready": True, "restartCount": 0, "state": {"running": {}}},
                {"ready": False, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
            ],
        },
    }
    world.content["pods"] = [pod]
    world.write()
    try:
        shown = capstan("--context", "test-context", "status", "--json")
        assert shown.returncode == 0, shown.stderr
        assert '"ready": "1/2"' in shown.stdout
        assert "CrashLoopBackOff" in shown.stdout
        refused = capstan("--context", "test-context", "up")
        assert refused.returncode == 1
        assert "make deploy" in refused.stderr
    finally:
        ended = capstan("--context", "test-context", "down")
    assert "the cluster goes on" in ended.stdout


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).is_success
    except httpx.TransportError:
        return False
