"""Registration, permissions and the shape of what is asked, without a job environment."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.actions.clear_incoming import ClearIncoming
from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_ingestion.tables import Base
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import assert_every_route_is_guarded
from capstan_testkit.schema import assert_migrations_match, upgraded_row

Make = Callable[..., Any]
BASE = "/v1/projects/default"
UP = f"{BASE}/datasets/trips/batches"
CSV = {"content-type": "text/csv"}


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[Harness]:
    # No job environment: work waits, and routes answer.
    async with running(Settings, build, tmp_path, pythons={"ingestion": str(tmp_path / "none")}) as harness:
        yield harness


async def register(h: Harness, spec: dict[str, Any]) -> httpx.Response:
    return await h.admin.put(f"{BASE}/datasets/{spec['name']}", json=spec)


def incoming(h: Harness) -> list[Path]:
    return list((h.home / "incoming").rglob("*")) if (h.home / "incoming").exists() else []


async def test_every_route_is_guarded(h: Harness) -> None:
    assert await assert_every_route_is_guarded(h) >= 14


async def test_migrations_match_the_models(tmp_path: Path, database_url: str) -> None:
    await asyncio.to_thread(assert_migrations_match, Settings, Base, tmp_path, database_url)


def test_a_batch_of_the_release_before_keeps_its_media_among_longer_ones(tmp_path: Path, database_url: str) -> None:
    row = {
        "id": "one", "project": "p", "dataset": "d", "partition": "a", "digest": "0" * 64, "filename": "a.csv",
        "media": "csv.gz", "bytes": 5, "state": "committed", "attempt": 1, "failing_total": 0,
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    found = upgraded_row(Settings, tmp_path, database_url, since="0001", table="batches", row=row)
    assert (found["media"], found["digest"], found["bytes"]) == ("csv.gz", "0" * 64, 5)


def test_a_dataset_of_the_release_before_can_be_read(tmp_path: Path, database_url: str, make_spec: Make) -> None:
    """Its uploads had an address that was never set."""
    spec, moment = make_spec(), datetime(2026, 1, 1, tzinfo=UTC)
    row = {
        "project": "p", "name": "trips", "spec": spec | {"source": {"kind": "upload", "url": None}},
        "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    found = upgraded_row(Settings, tmp_path, database_url, since="0001", table="datasets", row=row)
    assert DatasetSpec.model_validate(found["spec"]) == DatasetSpec.model_validate(spec)


async def test_roles(h: Harness, make_spec: Make) -> None:
    assert (await register(h, make_spec())).status_code == 200
    assert (await h.operator.put(f"{BASE}/datasets/trips", json=make_spec())).status_code == 403
    assert (await h.viewer.post(f"{UP}?partition=a", content=b"x", headers=CSV)).status_code == 403
    assert (await h.admin.put(f"{BASE}/loops/x", json={})).status_code == 403
    elsewhere = await h.foreign.get("/v1/projects/elsewhere/datasets/trips")
    assert elsewhere.status_code == 404


async def test_registering_again_changes_nothing_and_keeps_the_suite_verbatim(h: Harness, make_spec: Make) -> None:
    first = (await register(h, make_spec())).json()
    assert (await register(h, make_spec())).json() == first
    assert first["spec"]["contract"] == make_spec()["contract"]
    assert (await h.viewer.get(f"{BASE}/datasets/trips")).json() == first
    assert [one["name"] for one in (await h.viewer.get(f"{BASE}/datasets")).json()["items"]] == ["trips"]


async def test_a_contract_that_cannot_be_run_is_refused_when_it_is_registered(h: Harness, make_spec: Make) -> None:
    document = make_spec()["contract"]
    document["expectations"][0]["kwargs"]["min_val"] = 3
    answer = await register(h, make_spec(contract=document))
    assert answer.status_code == 400 and answer.json()["code"] == "invalid-spec"
    (place,) = answer.json()["errors"]
    assert place["place"] == "contract.expectations[0].kwargs.min_val"
    assert (await register(h, make_spec(contract="contract.json"))).status_code == 400
    assert (await register(h, make_spec(schedule="0 3 * * *"))).json()["code"] == "not-built-yet"
    assert (await register(h, make_spec(keys=[]))).status_code == 422
    other = await h.admin.put(f"{BASE}/datasets/other", json=make_spec())
    assert other.status_code == 422
    assert (await h.viewer.get(f"{BASE}/datasets")).json()["items"] == []


@pytest.mark.parametrize(
    ("query", "headers", "media"),
    [
        ("?partition=a&media=csv", {}, "csv"),
        ("?partition=a", {**CSV, "content-encoding": "gzip"}, "csv+gzip"),
        ("?partition=a&filename=a.jsonl.gz", {}, "jsonlines+gzip"),
        ("?partition=a&filename=folder.tar", {"content-type": "application/octet-stream"}, "tar"),
    ],
)
async def test_the_form_of_an_upload_is_told(
    h: Harness, make_spec: Make, query: str, headers: dict[str, str], media: str
) -> None:
    await register(h, make_spec())
    answer = await h.operator.post(UP + query, content=b"id\n1\n", headers=headers)
    assert answer.status_code == 202 and answer.json()["media"] == media


async def test_a_dataset_of_a_medium_that_is_not_installed_is_refused(h: Harness, make_spec: Make) -> None:
    answer = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(media={"kind": "acme.avro"}))
    (error,) = answer.json()["errors"]
    assert answer.status_code == 422 and error["place"] == "body.media[0].kind", answer.json()
    assert "no kind of medium is called 'acme.avro'; there are: arrow, csv" in error["rule"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", CSV, 422),
        ("?partition=", CSV, 422),
        ("?partition=" + "a" * 64, CSV, 422),
        ("?partition=../x", CSV, 422),
        ("?partition=a%2Fb", CSV, 422),
        ("?partition=.hidden", CSV, 422),
        ("?partition=a%0A", CSV, 422),
        ("?partition=a&filename=../../etc/passwd.csv", CSV, 422),
        ("?partition=a&filename=..%5Cx.csv", CSV, 422),
        ("?partition=a&filename=a%00.csv", CSV, 400),
        ("?partition=a&filename=" + "x" * 300 + ".csv", CSV, 422),
        ("?partition=a&replaces=nonsense", CSV, 422),
        ("?partition=a&replaces=" + "0" * 64, CSV, 404),
        ("?partition=a", {"content-type": "application/json"}, 415),
        ("?partition=a&filename=x.exe", {}, 415),
        ("?partition=a", {**CSV, "content-encoding": "br"}, 415),
        ("?partition=a&media=cvs", {}, 415),
    ],
)
async def test_an_upload_says_what_it_is(
    h: Harness, make_spec: Make, query: str, headers: dict[str, str], status: int
) -> None:
    await register(h, make_spec())
    answer = await h.operator.post(UP + query, content=b"id\n1\n", headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"] or answer.json()["detail"]
    assert incoming(h) in ([], [h.home / "incoming" / "ingestion"])
    assert (await h.viewer.get(UP)).json()["items"] == []


async def test_an_empty_body_and_one_over_the_limit_leave_nothing(tmp_path: Path, make_spec: Make) -> None:
    nobody = {"ingestion": str(tmp_path / "none")}
    async with running(Settings, build, tmp_path, pythons=nobody, max_upload_bytes=5000) as h:
        await register(h, make_spec())
        empty = await h.operator.post(f"{UP}?partition=a", content=b"", headers=CSV)
        assert empty.status_code == 400 and empty.json()["code"] == "invalid-data"

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000

        for body in (b"x" * 6000, endless()):
            large = await h.operator.post(f"{UP}?partition=a", content=body, headers=CSV)
            assert large.status_code == 413, large.text
        assert [path for path in incoming(h) if path.is_file()] == []
        assert not (h.home / "objects").exists() or not list((h.home / "objects").rglob("sha256/*/*"))
        assert (await h.viewer.get(UP)).json()["items"] == []


async def test_an_upload_that_is_cut_off_leaves_nothing(h: Harness, make_spec: Make) -> None:
    await register(h, make_spec())
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"id,at\n" * 1000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def answer(message: Any) -> None:
        sent.append(message)

    token = h.tokens["operator"]
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"text/csv")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": UP,
        "raw_path": UP.encode(),
        "query_string": b"partition=a",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    await h.app(scope, receive, answer)
    assert sent[0]["status"] == 400
    assert [path for path in incoming(h) if path.is_file()] == []
    assert (await h.viewer.get(UP)).json()["items"] == []


async def test_the_same_bytes_are_the_same_batch_also_at_the_same_moment(h: Harness, make_spec: Make) -> None:
    await register(h, make_spec())
    content = b"id\n1\n"
    answers = await asyncio.gather(
        *(h.operator.post(f"{UP}?partition=a", content=content, headers=CSV) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["id"] for answer in answers} == {hashlib.sha256(content).hexdigest()}
    (batch,) = (await h.viewer.get(UP)).json()["items"]
    assert batch["filename"] == "a.csv" and batch["bytes"] == len(content)
    assert await h.kit.objects.read("default", batch["id"]) == content


async def test_an_idempotency_key_belongs_to_one_upload(h: Harness, make_spec: Make) -> None:
    await register(h, make_spec())
    key = {**CSV, "idempotency-key": "k1"}
    first = await h.operator.post(f"{UP}?partition=a", content=b"id\n1\n", headers=key)
    again = await h.operator.post(f"{UP}?partition=a", content=b"id\n1\n", headers=key)
    other = await h.operator.post(f"{UP}?partition=a", content=b"id\n2\n", headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409 and other.json()["code"] == "idempotency-mismatch"


async def test_batches_are_listed_newest_first_in_pages(h: Harness, make_spec: Make) -> None:
    await register(h, make_spec())
    for number in range(5):
        await h.operator.post(f"{UP}?partition=p{number}", content=f"id\n{number}\n".encode(), headers=CSV)
    first = (await h.viewer.get(f"{UP}?limit=3")).json()
    second = (await h.viewer.get(f"{UP}?limit=3&cursor={first['next']}")).json()
    assert [one["partition"] for one in first["items"]] == ["p4", "p3", "p2"]
    assert [one["partition"] for one in second["items"]] == ["p1", "p0"] and second["next"] is None
    assert (await h.viewer.get(f"{UP}?state=committed")).json()["items"] == []
    assert (await h.viewer.get(f"{UP}?state=nonsense")).status_code == 422


async def test_what_is_not_there(h: Harness, make_spec: Make) -> None:
    await register(h, make_spec())
    for path in (
        "datasets/ghost",
        "datasets/ghost/batches",
        "datasets/ghost/versions",
        f"batches/{'0' * 64}",
        f"batches/{'0' * 64}/failing-rows",
        f"datasets/trips/versions/{'0' * 12}",
        f"datasets/trips/versions/{'0' * 12}/dvc",
    ):
        assert (await h.viewer.get(f"{BASE}/{path}")).status_code == 404, path
    assert (await h.viewer.get(f"{BASE}/datasets/trips/versions/abc")).status_code == 422
    assert (await h.viewer.get(f"{BASE}/datasets/Trips")).json()["code"] == "invalid-name"
    ghost = await h.operator.post(f"{BASE}/datasets/ghost/batches?partition=a", content=b"x", headers=CSV)
    assert ghost.status_code == 404 and "Register" in ghost.json()["hint"]


async def test_a_pull_refuses_inner_addresses_and_unknown_formats(h: Harness, make_spec: Make) -> None:
    await register(h, make_spec())
    for url, code in (
        ("http://127.0.0.1:9/a.csv", "egress-refused"),
        ("http://169.254.169.254/latest/meta-data/a.csv", "egress-refused"),
        ("file:///etc/passwd.csv", "egress-refused"),
        ("https://u:p@example.org/a.csv", "egress-refused"),
        ("https://example.org/a.exe", "unsupported-media"),
        ("https://example.org", "unsupported-media"),
    ):
        answer = await h.operator.post(f"{BASE}/datasets/trips/pulls", json={"url": url, "partition": "a"})
        assert answer.json()["code"] == code, (url, answer.text)


async def test_a_pull_is_a_batch_like_an_upload(tmp_path: Path, make_spec: Make) -> None:
    content = b"id\n1\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    nobody = {"ingestion": str(tmp_path / "none")}
    hosts = frozenset({"127.0.0.1"})
    async with server, running(Settings, build, tmp_path, pythons=nobody, allow_pull_hosts=hosts) as h:
        await register(h, make_spec())
        body = {"url": f"http://127.0.0.1:{port}/data/trips.csv?x=1", "partition": "a"}
        answer = await h.operator.post(f"{BASE}/datasets/trips/pulls", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["filename"] == "trips.csv"
        assert answer.json()["id"] == hashlib.sha256(content).hexdigest()


async def test_what_a_killed_process_left_behind_is_cleared(h: Harness) -> None:
    folder = h.home / "incoming" / "ingestion"
    clear = ClearIncoming(h.kit.clock, folder)
    folder.mkdir(parents=True, exist_ok=True)
    old, fresh = folder / "old", folder / "fresh"
    for path in (old, fresh):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert clear.once() == [old]
    assert fresh.exists() and not old.exists()
