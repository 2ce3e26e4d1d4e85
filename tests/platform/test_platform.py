"""`capstan up` as users meet it: taken ports, crashes, a killed supervisor, a second one."""

from __future__ import annotations

import json
import os
import signal
import stat
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from capstan_client.platform.home import Home
from capstan_client.platform.processes import descendants, same_process, started_at
from capstan_client.settings import current_environment
from capstan_servicekit.http.sockets import NoPort, listening_socket
from capstan_testkit.platform import start, stop

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def ready(url: str) -> bool:
    """Whether a service can serve."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A platform whose usual ports were all taken."""
    taken = []
    for port in (7101, 7104, 7122):
        with suppress(NoPort):
            taken.append(listening_socket("127.0.0.1", port))
    found, process = start(tmp_path_factory.mktemp("platform"))
    for sock in taken:
        sock.close()
    yield found
    stop(process)


def test_free_ports_are_taken_when_the_usual_ones_are_in_use(home: Home) -> None:
    record = home.record()
    assert record is not None
    assert not record.services["ingestion"].endswith(":7101")
    assert all(ready(url) for url in record.services.values())


def test_whatever_was_written_is_its_owners_alone(home: Home) -> None:
    ours = home.path("logs", "platform.log")  # this test opened it
    found = [path for path in (home.folder, *home.folder.rglob("*")) if path.exists() and path != ours]
    assert len(found) > 20
    assert [str(path) for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_a_kept_connection_is_answered_at_once(home: Home) -> None:
    """A delayed acknowledgement would add 40 ms to every call; see capstan_servicekit.http.sockets."""
    record = home.record()
    assert record is not None
    slow = {}
    for name, url in record.services.items():
        with httpx.Client(base_url=url, trust_env=False) as client:
            times = []
            for _ in range(21):
                begun = time.perf_counter()
                client.get("/healthz").raise_for_status()
                times.append((time.perf_counter() - begun) * 1000)
        if (median := statistics.median(times[1:])) > 10:
            slow[name] = median
    assert slow == {}, "median milliseconds of 20 calls"


def test_secrets_are_for_the_owner_alone(home: Home) -> None:
    for file in home.path("secrets").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert home.path("nats", "nats.conf").stat().st_mode & 0o077 == 0


def test_a_second_supervisor_is_told_that_one_runs(home: Home) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "capstan_client.platform", str(home.folder)], capture_output=True, text=True, timeout=60,
        env=current_environment(), check=False,
    )  # fmt: skip
    assert second.returncode == 1 and "is running already" in second.stderr


def test_status_shows_every_part_as_json(home: Home) -> None:
    environment = current_environment() | {"CAPSTAN_HOME": str(home.folder)}
    command = [str(Path(sys.executable).parent / "capstan"), "status", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, env=environment, timeout=60).stdout)
    assert found["state"] == "ready" and len(found["services"]) == 6 and found["pss_mb"] > 50


@pytest.mark.parametrize("part", ["registry", "broker", "inference"])
def test_a_crashed_part_comes_back_at_its_address(home: Home, part: str) -> None:
    record = home.record()
    assert record is not None
    pid, _ = record.processes[part]
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        now = home.record()
        return (
            now is not None and now.processes.get(part, (pid, 0))[0] != pid and all(map(ready, now.services.values()))
        )

    assert eventually(back)
    now = home.record()
    assert now is not None and now.services == record.services and now.broker == record.broker


def test_a_killed_supervisor_leaves_no_orphans_and_the_next_start_recovers(tmp_path: Path) -> None:
    home, process = start(tmp_path)
    below = {pid: started_at(pid) or 0.0 for pid in descendants(process.pid)}
    assert len(below) >= 8
    process.kill()
    process.wait(10)
    assert eventually(lambda: not any(same_process(pid, started) for pid, started in below.items()))
    again, second = start(tmp_path)
    record = again.record()
    assert record is not None and record.state == "ready"
    assert stop(second) == []
    assert home.folder == again.folder
