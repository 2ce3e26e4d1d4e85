"""Ids by their beginning: a unique one is completed, an ambiguous or unknown one is one sentence."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

FIRST, SECOND = "01920000-0000-7000-8000-00000000000a", "01920000-0000-7000-8000-00000000000b"
OLDER = "018f0000-0000-7000-8000-00000000000c"
DIGEST = "3f9a1c0b2d4e" + "0" * 52
AT = "2013-02-01T00:00:00Z"


def run(identifier: str) -> dict[str, Any]:
    return {
        "id": identifier, "loop": "delay", "state": "cancelled", "reason": "manual", "requested_by": "ada",
        "dataset": "flights", "dataset_version": DIGEST, "code": DIGEST, "seed": 7, "created_at": AT,
    }  # fmt: skip


def letter(identifier: str) -> dict[str, Any]:
    return {
        "id": identifier, "consumer": "training", "event_id": FIRST, "event_type": "dataset.committed.v1",
        "reason": "no loop", "attempts": 5, "failed_at": AT, "envelope": {},
    }  # fmt: skip


def two_pages(request: httpx.Request) -> httpx.Response:
    if request.url.params.get("cursor") == SECOND:
        return httpx.Response(200, json={"items": [run(OLDER)]})
    return httpx.Response(200, json={"items": [run(FIRST), run(SECOND)], "next": SECOND})


@pytest.fixture
def training(platform: Any) -> Any:
    platform.answer("GET training /runs", two_pages)
    for one in (FIRST, SECOND, OLDER):
        platform.answer(f"GET training /runs/{one}/logs", httpx.Response(200, text=f"log of {one}\n"))
        platform.answer(f"POST training /runs/{one}/cancel", run(one))
    return platform


@pytest.mark.parametrize("given", ["018f", "018F0000-0000", OLDER[:-1]])
def test_a_unique_beginning_is_completed_from_any_page(training: Any, given: str) -> None:
    done = training.run("runs", "logs", given)
    assert (done.exit_code, done.stdout) == (0, f"log of {OLDER}\n")


def test_a_whole_id_is_not_looked_up(training: Any) -> None:
    assert training.run("runs", "cancel", FIRST).stdout == f"run {FIRST}: cancelled\n"
    assert [request.method for request in training.seen] == ["POST"]


def test_an_ambiguous_beginning_names_the_candidates(training: Any) -> None:
    done = training.run("runs", "cancel", "0192")
    assert done.exit_code == 1
    assert done.stderr == f"'0192' is the beginning of 2 run ids: {FIRST}, {SECOND}\nGive more characters.\n"
    assert "POST" not in {request.method for request in training.seen}


@pytest.mark.parametrize("given", ["ffff", ""])
def test_an_unknown_beginning_is_said(training: Any, given: str) -> None:
    done = training.run("runs", "logs", given)
    assert (done.exit_code, done.stderr) == (1, f"No run has an id that begins with {given!r}\n")


def test_a_dead_letter_is_found_by_its_beginning(platform: Any) -> None:
    platform.answer("GET training /dead-letters", {"items": [letter(FIRST), letter(OLDER)]})
    platform.answer(f"POST training /dead-letters/{OLDER}/replay", letter(OLDER))
    assert platform.run("events", "replay", "training", "018").stdout == "dataset.committed.v1 was taken by training.\n"
    assert "No dead letter" in platform.run("events", "replay", "training", "03").stderr


@pytest.mark.parametrize(
    "line", [["data", "replay", "3f9a"], ["data", "failing-rows", "nonsense-123"], ["data", "replay", "../../runs"]]
)
def test_what_is_no_batch_id_is_said_before_anything_is_asked(platform: Any, line: list[str]) -> None:
    done = platform.run(*line)
    assert done.exit_code == 1
    assert "is not the id of a batch" in done.stderr and "capstan data batches DATASET" in done.stderr
    assert platform.seen == []


def test_a_mended_batch_is_named_by_12_characters(platform: Any, tmp_path: Any) -> None:
    file = tmp_path / "mended.csv"
    file.write_text("a\n1\n")
    received = {
        "id": DIGEST, "dataset": "flights", "partition": "mended", "filename": "mended.csv", "media": "csv",
        "bytes": 4, "state": "committed", "received_at": AT,
    }  # fmt: skip
    platform.answer("POST ingestion /datasets/flights/batches", received)
    platform.answer(f"GET ingestion /batches/{DIGEST}", received)
    platform.run("data", "upload", "flights", str(file), "--replaces", "3F9A1C0B2D4E")
    assert dict(platform.seen[0].url.params) == {
        "partition": "mended", "filename": "mended.csv", "replaces": "3f9a1c0b2d4e",
    }  # fmt: skip
    assert platform.run("data", "upload", "flights", str(file), "--replaces", "3F").exit_code == 1


def test_a_short_prediction_id_is_refused_in_words(platform: Any) -> None:
    done = platform.run("trace", "01920000")
    assert done.exit_code == 1 and "is not a prediction id: those have 36 characters" in done.stderr


@pytest.mark.parametrize("name", ["a b", "x?y=1", "x#y", "ü", "50%"])
def test_a_name_with_odd_characters_stays_one_part_of_the_path(platform: Any, name: str) -> None:
    platform.run("data", "batches", name)
    assert platform.seen[0].url.path == f"/v1/projects/default/datasets/{name}/batches"
    assert platform.seen[0].url.query == b""
