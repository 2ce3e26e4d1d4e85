"""up, down, status, token, connect: what they say without starting six services."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from capstan_client.cli import cluster
from capstan_client.cli.platform import start_in_background
from capstan_client.cluster.connector import Via
from capstan_client.cluster.kubectl import Target, connection_folder
from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import started_at

READY = """
import os, sys, time
from pathlib import Path
from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import started_at
print("ready in no time", flush=True)
Home(Path(sys.argv[1])).write_record(Record("ready", os.getpid(), started_at(os.getpid())))
time.sleep(60)
"""


def test_a_token_is_printed_alone_for_scripts(platform: Any, nothing_runs: Any) -> None:
    assert platform.run("token").stdout == "cap_people\n"


def test_where_no_token_was_made_it_is_said_what_makes_it(nothing_runs: Any) -> None:
    done = nothing_runs.run("token")
    assert done.exit_code == 1 and "`capstan up` makes it on its first start" in done.stderr


def test_nothing_to_stop_is_no_failure(nothing_runs: Any) -> None:
    done = nothing_runs.run("down")
    assert (done.exit_code, done.stdout) == (0, f"No platform runs in {nothing_runs.home.folder}.\n")


def test_status_of_nothing_says_how_to_start(nothing_runs: Any) -> None:
    done = nothing_runs.run("status")
    assert done.exit_code == 1 and "Start it with `capstan up -d`" in done.stderr


def test_status_shows_process_ids_that_can_be_copied(platform: Any) -> None:
    record = platform.home.record()
    record.processes = {"registry": (1234567, 1.0)}
    platform.home.write_record(record)
    lines = platform.run("status").stdout.splitlines()
    assert lines[2].split() == ["registry", "1234567", "http://registry", "0"]
    found = json.loads(platform.run("status", "--json").stdout)
    assert found["state"] == "ready" and found["services"]["registry"] == "http://registry"


def test_a_start_in_the_background_returns_when_it_is_ready_and_down_ends_it(nothing_runs: Any) -> None:
    """In a process of its own, as `capstan up -d` is: what it leaves running is not waited for."""
    home: Home = nothing_runs.home
    code = (
        "import sys; from pathlib import Path; from capstan_client.cli.platform import Home, start_in_background; "
        "start_in_background(Home(Path(sys.argv[2])), [sys.executable, '-c', sys.argv[1], sys.argv[2]])"
    )
    command = [sys.executable, "-c", code, READY, str(home.folder)]
    assert (
        subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout == "ready in no time\n"
    )
    record = home.record()
    assert record is not None
    assert nothing_runs.run("down").stdout == "Stopped.\n"
    deadline = time.monotonic() + 10
    while started_at(record.supervisor) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert started_at(record.supervisor) is None


def test_a_start_that_fails_is_told_in_its_own_words(nothing_runs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        start_in_background(nothing_runs.home, [sys.executable, "-c", "import sys; sys.exit('nats-server is missing')"])
    assert capsys.readouterr().err == "nats-server is missing\n"


def test_a_start_that_says_nothing_is_told_with_its_status_and_log(
    nothing_runs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        start_in_background(nothing_runs.home, [sys.executable, "-c", "import os; os._exit(3)"])
    said = capsys.readouterr().err
    assert "ended with status 3; see " in said and "platform.log" in said


def test_each_release_has_a_folder_of_its_own_that_is_one_name() -> None:
    base = Path("home")
    arn = Target("arn:aws:eks:eu:1:cluster/prod", "ml", "team")
    assert connection_folder(base, arn) == base / "contexts" / "arn_aws_eks_eu_1_cluster_prod_ml_team"
    assert connection_folder(base, arn) != connection_folder(base, Target(arn.context, "ml", "other"))


def test_a_connection_that_is_open_is_not_opened_twice(nothing_runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capstan_client.settings._CONNECTION", [])
    home = Home(connection_folder(nothing_runs.home.folder, Target("prod")))
    home.prepare()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        home.write_record(Record("ready", process.pid, started_at(process.pid) or 0.0, cluster={"context": "prod"}))
        done = nothing_runs.run("connect", "--context", "prod")
        process.kill()
    assert done.exit_code == 1
    assert "Connected to release capstan in namespace capstan of context prod already" in done.stderr
    assert "capstan --context prod down" in done.stderr


def test_the_process_of_a_connection_is_told_everything() -> None:
    command = cluster.command(Path("folder"), Target("prod", "ml", "team"), Via.SERVICE)
    assert command[1:] == ["-m", "capstan_client.cluster", "folder", "prod", "ml", "team", "service"]
