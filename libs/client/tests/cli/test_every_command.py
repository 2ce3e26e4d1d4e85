"""Each command that calls the platform: what it prints, and what it says when something else than an answer comes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from capstan_client.cli import app

RUN = "01920000-0000-7000-8000-000000000001"
LETTER = "01920000-0000-7000-8000-00000000000a"
PREDICTION = "01920000-0000-7000-8000-0000000000ff"
DIGEST = "3f9a1c0b2d4e" + "0" * 52
AT = "2013-02-01T00:00:00Z"

run = {
    "id": RUN, "loop": "delay", "state": "succeeded", "reason": "manual", "requested_by": "ada", "stage": "done",
    "dataset": "flights", "dataset_version": DIGEST, "code": DIGEST, "seed": 7, "metrics": {"auc": 0.7},
    "created_at": AT,
}  # fmt: skip
batch = {
    "id": DIGEST, "dataset": "flights", "partition": "2013-01", "filename": "january.parquet", "media": "parquet",
    "bytes": 12, "state": "committed", "rows": 1234, "received_at": AT,
}  # fmt: skip
manifest = {
    "dataset": "flights", "version": DIGEST, "sequence": 3, "keys": ["id"], "event_time": "at", "columns": {},
    "files": [], "rows": 1234, "dvc_md5": "abc.dir", "created_at": AT,
}  # fmt: skip
version = {
    "model": "delay", "version": 4, "package": DIGEST, "run": RUN, "dataset": "flights", "dataset_version": DIGEST,
    "aliases": ["champion"], "created_at": AT,
}  # fmt: skip
gate = {"gate": "auc", "passed": True, "observed": 0.71, "bound": 0.65, "sentence": "auc is 0.71, at least 0.65"}
promotion = {
    "id": RUN, "model": "delay", "version": 4, "requested_by": "ada", "approved": True, "state": "succeeded",
    "gates": [gate], "created_at": AT,
}  # fmt: skip
entry = {
    "sequence": 11, "model": "delay", "version": 4, "previous_version": None, "decision": "refused", "by": "gates",
    "at": AT, "package": DIGEST, "gates": [gate, {**gate, "passed": False, "sentence": "carrier AA fell by 0.09"}],
    "previous_hash": DIGEST, "hash": DIGEST,
}  # fmt: skip
letter = {
    "id": LETTER, "consumer": "training", "event_id": RUN, "event_type": "retrain.requested.v1", "reason": "no loop",
    "attempts": 5, "failed_at": AT, "envelope": {},
}  # fmt: skip
monitor = {
    "loop": "delay", "model_version": 4, "watermark": AT, "alarm": True, "predictions": 7000, "labelled": 6000,
    "unlabelled": 12, "waiting": 1250,
}  # fmt: skip
figure = {"column": "fare", "role": "feature", "seasonal": False, "p_value": 0.0, "adjusted_p": 0.0}
window = {
    "loop": "delay", "start": AT, "end": AT, "model_version": 4, "rows": 700, "state": "drifted",
    "columns": [
        {**figure, "statistic": "missing", "unit": "share", "effect": 0.036, "floor": 0.03, "drifted": True},
        {**figure, "statistic": "psi", "unit": "nats", "effect": 5.1, "floor": 0.2, "adjusted_p": 1, "drifted": False},
    ],
    "report": f"/v1/projects/default/monitors/delay/windows/{AT}/report",
}  # fmt: skip
quality = {
    "start": AT, "end": AT, "model_version": 4, "metric": "auc", "rows": 700, "labelled": 600, "coverage": 0.857,
    "value": 0.71, "low": 0.69, "high": 0.73,
}  # fmt: skip
retrain = {"id": RUN, "loop": "delay", "state": "withheld", "reason": "drift", "why": "cools down", "at": AT}
dataset = {
    "name": "flights", "spec": {"name": "flights", "contract": {}, "keys": ["id"], "eventTime": "at"},
    "latest": DIGEST, "rows": 1234, "partitions": 2,
}  # fmt: skip

scrub = {"id": RUN, "dataset": "flights", "state": "succeeded", "objects": 1234, "created_at": AT}

types = {"id": "int64", "at": "timestamp", "fare": "float64"}
spec = {"name": "flights", "contract": {}, "keys": ["id"], "eventTime": "at", "columns": {"fare": "float64"}}
declared = {**dataset, "columns": types, "spec": spec}


def page(*items: Any) -> dict[str, Any]:
    return {"items": list(items)}


@dataclass(frozen=True)
class Command:
    """One command line, what the platform answers, and words that are printed."""

    line: str
    answers: dict[str, Any]
    prints: tuple[str, ...]
    json_has: str = ""
    others: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.line

    @property
    def words(self) -> list[str]:
        return self.line.split()


COMMANDS = [
    Command(
        "data schema flights",
        {"GET ingestion /datasets/flights": declared},
        ("id", "key", "from the files", "event time", "fare", "declared"), "fare",
    ),
    Command("data list", {"GET ingestion /datasets": page(dataset)}, ("flights", "3f9a1c0b2d4e", "1,234"), "latest"),
    Command(
        "data upload flights FILE", {"POST ingestion /datasets/flights/batches": batch},
        ("batch 3f9a1c0b2d4e of flights/2013-01: committed", "Every rule of the contract holds."), "verdict",
        {f"GET ingestion /batches/{DIGEST}": batch},
    ),
    Command(
        "data replay 3f9a1c0b2d4e", {"POST ingestion /batches/3f9a1c0b2d4e/replay": batch},
        ("committed",), "state", {f"GET ingestion /batches/{DIGEST}": batch},
    ),
    Command(
        "data batches flights", {"GET ingestion /datasets/flights/batches": page(batch)},
        ("3f9a1c0b2d4e", "january.parquet", "2013-02-01"), "filename",
    ),
    Command(
        "data failing-rows 3f9a1c0b2d4e",
        {"GET ingestion /batches/3f9a1c0b2d4e/failing-rows":
            {"batch": DIGEST, "total": 1, "rows": [{"_row": 7, "carrier": "[ZZ]"}]}},
        ("1 failing rows", "carrier", "[ZZ]"), "total",
    ),
    Command(
        "data versions flights", {"GET ingestion /datasets/flights/versions": page(manifest)}, ("abc.dir",), "dvc_md5"
    ),
    Command(
        "data scrub flights", {"POST ingestion /scrubs": scrub}, ("All 1234 objects are as they were stored.",),
        "objects", {f"GET ingestion /scrubs/{RUN}": scrub},
    ),
    Command("runs list", {"GET training /runs": page(run)}, (RUN, "succeeded"), "dataset_version"),
    Command(
        "runs start delay", {"POST training /runs": run}, (f"run {RUN}: succeeded {{'auc': 0.7}}",), "seed",
        {f"GET training /runs/{RUN}": run},
    ),
    Command(
        f"runs logs {RUN}", {f"GET training /runs/{RUN}/logs": httpx.Response(200, text="one [bold]\ntwo\n")},
        ("one [bold]\ntwo\n",),
    ),
    Command(f"runs cancel {RUN}", {f"POST training /runs/{RUN}/cancel": run}, (f"run {RUN}: succeeded",)),
    Command(
        "models versions delay", {"GET registry /models/delay/versions": page(version)}, ("4", "champion", RUN), "run"
    ),
    Command(
        "models promote delay 4", {"POST registry /models/delay/versions/4/promotions": promotion},
        ("delay 4: approved", "auc is 0.71, at least 0.65"), "gates", {f"GET registry /promotions/{RUN}": promotion},
    ),
    Command("models promotions", {"GET registry /promotions": page(promotion)}, (RUN, "approved", "ada"), "gates"),
    Command(
        f"models approve {RUN} --reason fine", {f"PUT registry /promotions/{RUN}/approval": promotion},
        ("delay 4: approved", "auc is 0.71, at least 0.65"), "gates", {f"GET registry /promotions/{RUN}": promotion},
    ),
    Command(f"models reject {RUN} --reason worse", {f"PUT registry /promotions/{RUN}/approval": promotion}, ()),
    Command(
        "models rollback delay --reason broken",
        {"GET registry /models/delay/champion":
            {"model": "delay", "version": 4, "package": DIGEST, "since": AT, "ledger_sequence": 11},
         "POST registry /models/delay/rollback":
            {"model": "delay", "from_version": 4, "to_version": 3, "by": "ada", "reason": "broken",
             "ledger_sequence": 12, "at": AT}},
        ("delay: version 3 is champion again, in place of version 4 (ledger entry 12)",), "to_version",
    ),
    Command(
        "models champion delay",
        {"GET registry /models/delay/champion":
            {"model": "delay", "version": 4, "package": DIGEST, "since": AT, "ledger_sequence": 11}},
        ("delay: version 4 (package 3f9a1c0b2d4e) since 2013-02-01 00:00:00, ledger entry 11",), "ledger_sequence",
    ),
    Command(
        "ledger list", {"GET registry /ledger": page(entry)}, ("refused", "gates", "carrier AA fell by 0.09"), "hash"
    ),
    Command(
        "ledger verify", {"GET registry /ledger/verify": {"intact": True, "entries": 11}}, ("11 entries",), "intact"
    ),
    Command(
        "monitor show delay", {"GET monitoring /monitors/delay": monitor},
        ("4", "7,000", "6,000", "12", "1,250 prediction(s) wait for the promotion of their package to be told"),
        "waiting",
    ),
    Command(
        "monitor windows delay", {"GET monitoring /monitors/delay/windows": page(window)},
        ("drifted", "fare 0.036 (missing)"), "report",
    ),
    Command("monitor quality delay", {"GET monitoring /monitors/delay/quality": [quality]}, ("0.857", "600"), "low"),
    Command(
        "monitor retrains delay", {"GET monitoring /monitors/delay/retrains": page(retrain)}, ("cools down",), "why"
    ),
    Command(
        "events dead-letters", {"GET ingestion /dead-letters": page(letter)},
        (LETTER, "no loop"), "event_type",
        {f"GET {name} /dead-letters": page() for name in
         ("feature-store", "training", "registry", "inference", "monitoring")},
    ),
    Command(
        f"events replay training {LETTER}", {f"POST training /dead-letters/{LETTER}/replay": letter},
        ("retrain.requested.v1 was taken by training.",),
    ),
    Command(
        "events reconcile --service registry", {"POST registry /events/reconcile": {"events": 12}}, ("registry", "12")
    ),
    Command(
        "loops", {"GET registry /loops": page({"name": "delay", "generation": 3, "applied": True})}, ("delay",), "name"
    ),
    Command(
        "open report --loop delay --print", {"GET monitoring /monitors/delay/windows": page(window)},
        ("http://monitoring/s/1",), "",
        {"POST monitoring /v1/session-links": {"url": "http://monitoring/s/1", "expires_in_s": 60}},
    ),
    Command(
        "open docs --service training --print",
        {"POST training /v1/session-links": {"url": "http://training/s/1", "expires_in_s": 60}},
        ("http://training/s/1",),
    ),
    Command(f"trace {PREDICTION}", {f"GET inference /predictions/{PREDICTION}": {}}, ()),
    Command("apply -f LOOP", {"PUT training /code/CODE": {}}, ()),
    Command("diff -f LOOP", {"PUT training /code/CODE": {}}, ()),
]  # fmt: skip
PRINTING = [one for one in COMMANDS if one.prints]
LOOP = Path(__file__).parents[4] / "pipelines" / "flight-delay" / "loop.yaml"

BROKEN = {
    "a proxy's page": (httpx.Response(502, text="<html><h1>502 Bad Gateway</h1></html>"), ("answered 502", "<html>")),
    "an empty error": (httpx.Response(500), ("answered 500", "It had no body")),
    "JSON of somebody else": (httpx.Response(404, json={"message": "no Route matched"}), ("answered 404", "no Route")),
    "a redirect": (httpx.Response(302, headers={"location": "http://login/"}), ("answered 302", "http://login/")),
    "a connection that is reset": (httpx.ReadError("reset by peer"), ("does not answer (ReadError)",)),
    "a server that is silent": (httpx.ReadTimeout("late"), ("did not answer within 120 s",)),
    "a body that cannot be unpacked": (httpx.DecodingError("not gzip"), ("does not answer (DecodingError)",)),
}  # fmt: skip
UNREADABLE = {
    "a page": (httpx.Response(200, text="<html>login</html>"), ("answered 200", "<html>login</html>")),
    "JSON that is cut off": (httpx.Response(200, text='{"items": [{"id": "01'), ("answered 200", "cannot be read")),
    "nothing": (httpx.Response(200), ("answered 200", "no body")),
}  # fmt: skip


@pytest.fixture
def words(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "january.parquet"
    file.write_bytes(b"PAR1")
    return {"FILE": str(file), "LOOP": str(LOOP)}


def prepare(platform: Any, command: Command, words: dict[str, str], way: Any = None) -> list[str]:
    """Set the answers, or `way` for everything that the first service is asked; the command line."""
    for route, answer in {**command.answers, **command.others}.items():
        platform.answer(route, answer)
    if way is not None:
        platform.instead[next(iter(command.answers)).split()[1]] = way
    return [words.get(word, word) for word in command.words]


def told_in_one_place(done: Any) -> str:
    """The words on the error output; nothing of Python is in them."""
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.stderr and "Error(" not in done.stderr
    assert done.stdout == ""
    return str(done.stderr)


@pytest.mark.parametrize("command", PRINTING, ids=str)
def test_what_is_found_is_printed(platform: Any, words: dict[str, str], command: Command) -> None:
    done = platform.run(*prepare(platform, command, words))
    assert done.exit_code == 0, done.output
    assert [word for word in command.prints if word not in done.stdout] == []
    assert {request.headers["authorization"] for request in platform.seen} == {"Bearer cap_people"}


@pytest.mark.parametrize("command", [one for one in PRINTING if one.json_has], ids=str)
def test_json_is_what_the_service_said(platform: Any, words: dict[str, str], command: Command) -> None:
    done = platform.run(*prepare(platform, command, words), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert command.json_has in (found[0] if isinstance(found, list) else found)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_what_is_not_there_is_said(platform: Any, words: dict[str, str], command: Command) -> None:
    """No route is set, so that the fake answers each call with a problem."""
    done = platform.run(*[words.get(word, word) for word in command.words])
    assert "No: there is no /" in told_in_one_place(done)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_an_answer_that_is_not_ours_is_one_sentence(
    platform: Any, words: dict[str, str], command: Command, kind: str
) -> None:
    way, said = BROKEN[kind]
    sentence = told_in_one_place(platform.run(*prepare(platform, command, words, way)))
    assert sentence.count("\n") == 1
    service = next(iter(command.answers)).split()[1]
    assert [word for word in (f"http://{service}/v1/", *said) if word not in sentence] == []


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.line.startswith("runs logs")], ids=str)
def test_a_success_that_cannot_be_read_is_one_sentence(
    platform: Any, words: dict[str, str], command: Command, kind: str
) -> None:
    way, said = UNREADABLE[kind]
    sentence = told_in_one_place(platform.run(*prepare(platform, command, words, way)))
    assert sentence.count("\n") == 1
    assert [word for word in said if word not in sentence] == []


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_where_no_platform_runs_it_is_said_how_to_start_one(
    nothing_runs: Any, words: dict[str, str], command: Command
) -> None:
    sentence = told_in_one_place(nothing_runs.run(*[words.get(word, word) for word in command.words]))
    assert "No platform runs in" in sentence and "capstan up -d" in sentence


def test_every_command_is_in_the_table() -> None:
    def lines(command: Any, name: str) -> list[str]:
        below = getattr(command, "commands", {}).items()
        return [line for word, one in below for line in lines(one, f"{name} {word}".strip())] or [name]

    without_calls = {"up", "down", "status", "token", "connect", "check"}
    tested = {one.line for one in COMMANDS}
    missing = [
        name for name in lines(typer.main.get_command(app), "")
        if name not in without_calls and not any(line == name or line.startswith(f"{name} ") for line in tested)
    ]  # fmt: skip
    assert missing == []
    assert len(lines(typer.main.get_command(app), "")) > 25
