"""What the platform decided: exit statuses and sentences for work that failed, was refused, or was called wrongly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

RUN = "01920000-0000-7000-8000-00000000000a"
DIGEST = "3f9a1c0b2d4e" + "0" * 52
AT = "2013-02-01T00:00:00Z"
PROBLEM = {"title": "The data cannot be read", "status": 400, "code": "invalid-data", "detail": "column [x] is text"}


def run(state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": RUN, "loop": "delay", "state": state, "reason": "manual", "requested_by": "ada", "dataset": "flights",
        "dataset_version": DIGEST, "code": DIGEST, "seed": 7, "created_at": AT, **more,
    }  # fmt: skip


def batch(state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": DIGEST, "dataset": "flights", "partition": "2013-01", "filename": "a.csv", "media": "csv", "bytes": 1,
        "state": state, "received_at": AT, **more,
    }  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "2013-01.csv"
    made.write_text("a\n1\n")
    return made


def upload(platform: Any, file: Path, ended: dict[str, Any], *options: str) -> Any:
    platform.answer("POST ingestion /datasets/flights/batches", batch("received"))
    platform.answer(f"GET ingestion /batches/{DIGEST}", ended)
    return platform.run("data", "upload", "flights", str(file), *options)


def test_a_quarantined_batch_is_status_2_with_the_broken_rules(platform: Any, file: Path) -> None:
    check = {"expectation": "x", "severity": "critical", "outcome": "failed", "failing_rows": 1500}
    checks = [
        {**check, "key": "range", "sentence": "dep_delay matches [0-9]+[/b]"},
        {**check, "key": "fine", "outcome": "passed"},
    ]
    verdict = {"passed": False, "rows": 2, "engine": "gx", "checks": checks}
    done = upload(platform, file, batch("quarantined", verdict=verdict))
    assert done.exit_code == 2
    assert "quarantined" in done.stdout and "1,500" in done.stdout
    assert "dep_delay matches [0-9]+[/b]" in done.stdout, "brackets are text and no markup"
    assert "fine" not in done.stdout


def test_a_batch_that_could_not_be_checked_is_status_1_with_the_reason(platform: Any, file: Path) -> None:
    done = upload(platform, file, batch("failed", problem=PROBLEM))
    assert (done.exit_code, done.stderr) == (1, "column [x] is text\n")


def test_the_partition_is_the_stem_of_the_file_or_what_is_given(platform: Any, file: Path) -> None:
    upload(platform, file, batch("committed"))
    upload(platform, file, batch("committed"), "--partition", "other")
    sent = [dict(one.url.params)["partition"] for one in platform.seen if one.method == "POST"]
    assert sent == ["2013-01", "other"]
    assert platform.seen[0].content == b"a\n1\n"


def test_a_file_that_is_not_there_is_a_wrong_command_line(platform: Any) -> None:
    done = platform.run("data", "upload", "flights", "nowhere.csv")
    assert done.exit_code == 2 and "nowhere.csv" in done.stderr
    assert platform.seen == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads everything")
def test_a_file_that_may_not_be_read_is_said(platform: Any, file: Path) -> None:
    file.chmod(0)
    done = platform.run("data", "upload", "flights", str(file))
    assert done.exit_code != 0 and str(file.name) in done.stderr and "Traceback" not in done.stderr


def start(platform: Any, ended: dict[str, Any], *options: str) -> Any:
    platform.answer("POST training /runs", run("queued"))
    platform.answer(f"GET training /runs/{RUN}", ended)
    return platform.run("runs", "start", "delay", *options)


def test_a_failed_run_is_status_1_with_its_cause(platform: Any) -> None:
    done = start(platform, run("failed", problem=PROBLEM))
    assert done.exit_code == 1
    assert done.stdout == f"run {RUN}: failed\n" and done.stderr == "column [x] is text\n"


def test_a_cancelled_run_says_so(platform: Any) -> None:
    assert start(platform, run("cancelled")).stderr == "the run ended cancelled\n"


def test_a_run_need_not_be_waited_for(platform: Any) -> None:
    done = start(platform, run("failed"), "--no-wait")
    assert (done.exit_code, done.stdout) == (0, f"run {RUN}: queued\n")


def test_parameters_keep_their_types(platform: Any) -> None:
    given = [word for one in ("n=50", "rate=0.05", "fast=true", "name=a=b", "empty=") for word in ("-p", one)]
    start(platform, run("succeeded"), *given)
    assert platform.body(0)["parameters"] == {"n": 50, "rate": 0.05, "fast": True, "name": "a=b", "empty": ""}
    assert "idempotency-key" in platform.seen[0].headers


@pytest.mark.parametrize("given", ["n", "=5"])
def test_a_parameter_without_name_or_value_is_said(platform: Any, given: str) -> None:
    done = start(platform, run("succeeded"), "-p", given)
    assert (done.exit_code, done.stderr) == (1, f"-p {given}: write name=value\n")
    assert platform.seen == []


def test_the_list_of_runs_tells_why_one_failed(platform: Any) -> None:
    platform.answer("GET training /runs", {"items": [run("failed", problem=PROBLEM), run("succeeded")]})
    lines = platform.run("runs", "list").stdout.splitlines()
    assert lines[2].endswith("column [x] is text") and lines[3].endswith("-")


def test_a_refused_promotion_is_status_2_with_every_gate(platform: Any) -> None:
    gates = [
        {"gate": "auc", "passed": False, "observed": 0.5, "bound": 0.65, "sentence": "auc is 0.5, under 0.65"},
        {"gate": "slice", "passed": None, "sentence": "too few rows to tell"},
    ]
    asked = {"id": RUN, "model": "delay", "version": 4, "requested_by": "ada", "created_at": AT}
    platform.answer("POST registry /models/delay/versions/4/promotions", {**asked, "state": "queued"})
    platform.answer(
        f"GET registry /promotions/{RUN}", {**asked, "state": "succeeded", "approved": False, "gates": gates}
    )
    done = platform.run("models", "promote", "delay", "4")
    assert done.exit_code == 2
    assert "delay 4: refused" in done.stdout
    assert "auc is 0.5, under 0.65" in done.stdout and "too few rows to tell" in done.stdout


def test_a_version_is_a_number(platform: Any) -> None:
    done = platform.run("models", "promote", "delay", "four")
    assert done.exit_code == 2 and "valid integer" in done.stderr and platform.seen == []


def test_a_broken_ledger_is_status_1_and_named(platform: Any) -> None:
    platform.answer("GET registry /ledger/verify", {"intact": False, "entries": 11, "broken_at": 7})
    done = platform.run("ledger", "verify")
    assert (done.exit_code, done.stderr) == (1, "the ledger is broken at entry 7\n")


def test_the_champion_of_a_past_time_is_asked_for_in_utc(platform: Any) -> None:
    platform.run("models", "champion", "delay", "--at", "2013-05-01T12:00:00")
    assert dict(platform.seen[0].url.params) == {"at": "2013-05-01T12:00:00+00:00"}


@pytest.mark.parametrize("line", [["events", "replay", "regsitry", RUN], ["events", "reconcile", "--service", "all"]])
def test_a_service_that_does_not_exist_is_answered_with_those_that_do(platform: Any, line: list[str]) -> None:
    done = platform.run(*line)
    assert done.exit_code == 1 and "is not a service; there are: ingestion, feature-store" in done.stderr
    assert platform.seen == []


def test_where_no_window_was_closed_there_is_no_report_yet(platform: Any) -> None:
    platform.answer("GET registry /loops", {"items": []})
    done = platform.run("open", "report", "--print")
    assert done.exit_code == 1 and "No report has been made yet" in done.stderr


def test_a_project_is_in_every_path(platform: Any) -> None:
    platform.run("data", "list", "--project", "acme")
    assert platform.seen[0].url.path == "/v1/projects/acme/datasets"


def test_places_and_hint_of_a_refusal_are_printed(platform: Any) -> None:
    more = {"errors": [{"place": "path.dataset", "rule": "a DNS label"}], "hint": "See `capstan data list`."}
    platform.answer("GET ingestion /datasets/x/batches", platform.refusal(422, "invalid-name", "wrong", **more))
    done = platform.run("data", "batches", "x")
    assert done.stderr == "No: wrong\n  path.dataset: a DNS label\nSee `capstan data list`.\n"


def test_a_rollback_names_the_champion_that_was_seen(platform: Any) -> None:
    """The one that is found, or that a person has looked at before."""
    at = "2013-02-01T00:00:00Z"
    champion = {"model": "delay", "version": 4, "package": "ab" * 32, "since": at, "ledger_sequence": 11}
    done = {"model": "delay", "from_version": 4, "to_version": 3, "by": "ada", "reason": "broken"}
    platform.answer("GET registry /models/delay/champion", champion)
    platform.answer("POST registry /models/delay/rollback", done | {"ledger_sequence": 12, "at": at})
    assert platform.run("models", "rollback", "delay", "--reason", "broken").exit_code == 0
    assert platform.body() == {"version": None, "reason": "broken", "from_version": 4}
    assert platform.run("models", "rollback", "delay", "--reason", "broken", "--from", "5").exit_code == 0
    assert platform.body()["from_version"] == 5


def scrubbed(platform: Any, **more: Any) -> Any:
    asked = {"id": RUN, "state": "queued", "created_at": AT}
    platform.answer("POST ingestion /scrubs", asked)
    platform.answer(f"GET ingestion /scrubs/{RUN}", {**asked, "state": "succeeded", **more})
    return platform.run("data", "scrub")


def test_damage_is_status_1_with_dataset_file_and_versions(platform: Any) -> None:
    finding = {
        "dataset": "flights", "what": "file", "condition": "damaged", "digest": DIGEST, "partition": "2013-01",
        "path": "2013-01.parquet", "versions": [f"{number:064x}" for number in range(5)],
    }  # fmt: skip
    done = scrubbed(platform, objects=12, damaged=1, gone=0, findings=[finding])
    assert done.exit_code == 1
    for words in ("flights", "damaged", "2013-01.parquet", "3f9a1c0b2d4e", "and 2 earlier"):
        assert words in done.stdout
    assert "Of 12 objects 1 are damaged and 0 are gone." in done.stderr and "backup" in done.stderr


def test_a_scrub_that_was_stopped_is_status_1_and_says_so(platform: Any) -> None:
    done = scrubbed(platform, state="cancelled")
    assert (done.exit_code, done.stderr) == (1, "the scrub was cancelled\n")
