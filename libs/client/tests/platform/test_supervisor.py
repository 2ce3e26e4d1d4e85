"""The supervisor with one small service and a broker that only waits: starts, crashes, stops, and what it says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import descendants, end, same_process, started_at
from capstan_client.settings import liveness_patience

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")

TOY = """
import http.server, os, socket, sys, time
from pathlib import Path
from capstan_client.platform import plan, supervisor

folder, way = Path(sys.argv[1]), sys.argv[2]
supervisor.SERVICES = ("registry",)
supervisor.READY_LIMIT_S = 2
plan.LOCAL_PORTS, plan.BROKER_PORT, plan.MODEL_SERVER_PORT = dict.fromkeys(plan.SERVICES, 0), 0, 0
supervisor._preload = lambda: None

if way == "slow to say":
    supervisor._held = lambda pid: time.sleep(0.3) or 1.0


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if way == "spins" and self.path == "/spin":
            while True:
                pass
        body = b'{"missing": ["the broker"]}' if way == "never" else str(os.getpid()).encode()
        self.send_response(503 if way == "never" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Toy(supervisor.Supervisor):
    def _start_broker(self):
        return self._fork("broker", self._greet)

    def _greet(self):
        with socket.create_server(("127.0.0.1", self._plan.broker_port)) as listening:
            while True:
                listening.accept()[0].sendall(b"INFO {}\\r\\n")

    def _make_streams(self):
        pass

    def _become(self, service):
        if way == "crashes":
            raise ValueError("settings are wrong")
        kind = http.server.HTTPServer if way == "spins" else http.server.ThreadingHTTPServer
        server = kind(("127.0.0.1", 0), Answers, bind_and_activate=False)
        server.socket.close()
        server.socket = self._plan.sockets[service]
        server.serve_forever()


supervisor.Supervisor = Toy
sys.exit(supervisor.supervise(folder))
"""


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def supervisor(home: Home, way: str = "fine") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TOY, str(home.folder), way]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ready(home: Home, process: subprocess.Popen[str]) -> Record:
    def record() -> Record | None:
        assert process.poll() is None, process.communicate()
        found = home.record()
        return found if found and found.state == "ready" and found.supervisor == process.pid else None

    found: Record = until(record)
    return found


def asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/pid", timeout=5) as answer:
        return int(answer.read())


@contextmanager
def running(home: Home, way: str = "fine") -> Iterator[tuple[subprocess.Popen[str], Record]]:
    process = supervisor(home, way)
    try:
        yield process, ready(home, process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_crashed_service_comes_back_at_its_address_after_growing_pauses(home: Home) -> None:
    with running(home) as (process, record):
        url = record.services["registry"]
        for _ in range(2):
            pid = asked(url)
            os.kill(pid, signal.SIGKILL)
            until(partial(_other, url, pid))
        now = home.record()
        assert now is not None and now.services == record.services
        assert now.processes["registry"][0] == asked(url)
        process.terminate()
        _, said = process.communicate(timeout=20)
    lines = [line for line in said.splitlines() if line.startswith("registry")]
    assert lines == [
        "registry ended (signal 9); starting again in 0.1 s", "registry ended (signal 9); starting again in 0.3 s",
    ]  # fmt: skip


def _other(url: str, pid: int) -> bool:
    try:
        return asked(url) != pid
    except OSError:
        return False


def test_stopping_ends_everything_and_keeps_the_record(home: Home) -> None:
    with running(home) as (process, record):
        below = {pid: started_at(pid) or 0.0 for pid in descendants(process.pid)}
        process.terminate()
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert not any(same_process(pid, started) for pid, started in below.items())
    stopped = home.record()
    assert stopped is not None and (stopped.state, stopped.processes) == ("stopped", {})
    assert stopped.services == record.services, "the next start asks for the same ports"
    assert "model server" in out and f"State in {home.folder}" in out


def test_who_waits_for_it_in_the_background_is_told_everything(home: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from capstan_client.cli.platform import Home, start_in_background; "
        "start_in_background(Home(Path(sys.argv[2])), [sys.executable, '-c', *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", code, TOY, str(home.folder), "slow to say"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout.splitlines()
        assert [line.split()[0] for line in lines if line] == ["broker", "registry", "model", "ready"]
    finally:
        if (record := home.record()) is not None:
            end(record.supervisor, record.supervisor_started)


def test_a_second_one_is_told_which_process_runs(home: Home) -> None:
    with running(home) as (process, _):
        second = supervisor(home)
        _, said = second.communicate(timeout=20)
        assert second.returncode == 1
        assert f"is running already (pid {process.pid})" in said and "capstan down" in said
        assert process.poll() is None


def test_who_never_becomes_ready_is_named_with_what_is_missing_and_its_log(home: Home) -> None:
    process = supervisor(home, "never")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"registry is not ready: the broker; see {home.path('logs', 'registry.log')}" in said
    assert descendants(process.pid) == [process.pid]


def test_the_log_of_a_service_has_why_it_ended(home: Home) -> None:
    process = supervisor(home, "crashes")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "registry ended (status 1); starting again in 0.1 s" in said
    assert "ValueError: settings are wrong" in home.path("logs", "registry.log").read_text()


def test_a_killed_one_takes_its_children_along_and_its_lock_goes(home: Home) -> None:
    with running(home) as (process, record):
        process.kill()
        process.wait(10)
        below = record.processes.values()
        until(lambda: not any(same_process(pid, started) for pid, started in below))
    with running(home) as (_, again):
        assert again.services == record.services


def test_what_a_killed_one_left_is_ended_by_pid_and_start(home: Home) -> None:
    home.prepare()
    with (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as left,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as somebody,
    ):
        try:
            started = started_at(somebody.pid) or 0.0
            processes = {"registry": (left.pid, started_at(left.pid) or 0.0), "broker": (somebody.pid, started - 1)}
            home.write_record(Record("ready", 999_999, 1.0, processes=processes))
            with running(home):
                assert left.wait(10) == -signal.SIGTERM
                assert somebody.poll() is None, "its pid was used again by a process of somebody else"
        finally:
            left.kill()
            somebody.kill()


@pytest.mark.parametrize("name", ["registry", "broker"])
def test_a_stopped_part_is_replaced_within_ten_seconds(home: Home, name: str) -> None:
    with running(home) as (process, record):
        pid, began = record.processes[name][0], time.monotonic()
        os.kill(pid, signal.SIGSTOP)

        def replaced() -> bool:
            now = home.record()
            return now is not None and now.processes.get(name, (pid,))[0] != pid

        until(replaced)
        took = time.monotonic() - began
        assert asked(record.services["registry"])
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert took <= 10
    assert f"{name} has not answered for 5 s and does nothing: it is ended" in said


def test_a_busy_service_is_given_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSTAN_LIVENESS", "0.2,1,60")
    with running(home, "spins") as (_, record):
        pid = asked(record.services["registry"])
        address = record.services["registry"].removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as asking:
            asking.sendall(b"GET /spin HTTP/1.0\r\n\r\n")
            time.sleep(4)
            assert same_process(pid, record.processes["registry"][1])


def test_a_healthy_service_that_idles_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSTAN_LIVENESS", "0.2,1.5,1.5")
    with running(home) as (_, record):
        time.sleep(4)
        now = home.record()
        assert now is not None and now.processes == record.processes


@pytest.mark.parametrize("text", ["1,5", "5,1,60", "0,5,60", "a,b,c", "1,5,4"])
def test_a_wrong_patience_says_what_it_should_be(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSTAN_LIVENESS", text)
    with pytest.raises(ValueError, match="three numbers of seconds that grow"):
        liveness_patience()
