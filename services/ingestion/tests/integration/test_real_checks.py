"""Through the HTTP API with the real job environment: Great Expectations and DVC in worker processes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from capstan_client.sdk.batch_file import batch_file
from capstan_contracts.events import BatchQuarantined, DatasetCommitted
from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_testkit.harness import Harness, running

# One service for the module: its warm worker imports Great Expectations once.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]
Make = Callable[..., Any]
BASE = "/v1/projects/default"
PARQUET = {"content-type": "application/vnd.apache.parquet"}
ENDS = {"committed", "quarantined", "failed"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    home = tmp_path_factory.mktemp("ingestion")
    async with running(Settings, build, home, job_idle_s=200, max_columns=200, max_failing_rows=50) as harness:
        yield harness


@pytest.fixture
def dataset(service: Harness, make_spec: Make, request: pytest.FixtureRequest) -> Callable[..., Any]:
    name: str = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")

    async def register(**changes: Any) -> str:
        answer = await service.admin.put(f"{BASE}/datasets/{name}", json=make_spec(name, **changes))
        assert answer.status_code == 200, answer.text
        return name

    return register


async def send(h: Harness, dataset: str, content: bytes, partition: str = "one", **query: str) -> dict[str, Any]:
    """Upload and wait for the end; the batch."""
    headers = {} if "filename" in query else PARQUET
    answer = await h.operator.post(
        f"{BASE}/datasets/{dataset}/batches",
        params={"partition": partition, **query},
        content=content,
        headers=headers,
    )
    assert answer.status_code in (200, 202), answer.text
    return await ended(h, answer.json()["id"])


async def ended(h: Harness, batch: str) -> dict[str, Any]:
    async def done() -> dict[str, Any] | None:
        found: dict[str, Any] = (await h.viewer.get(f"{BASE}/batches/{batch}")).json()
        return found if found["state"] in ENDS else None

    result: dict[str, Any] = await h.until(done, timeout=120)
    return result


def sentences(batch: dict[str, Any]) -> dict[str, str]:
    return {check["key"]: check["sentence"] for check in batch["verdict"]["checks"] if check["outcome"] != "passed"}


async def test_good_rows_become_a_version(service: Harness, dataset: Make, make_parquet: Make) -> None:
    name = await dataset()
    batch = await send(service, name, make_parquet(), "2013-01")
    assert batch["state"] == "committed" and batch["rows"] == 10
    assert batch["verdict"]["engine"].startswith("great-expectations 1.")
    assert [check["outcome"] for check in batch["verdict"]["checks"]] == ["passed", "passed"]
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{batch['version'][:12]}")).json()
    (file,) = manifest["files"]
    assert manifest["version"] == batch["version"] and manifest["sequence"] == 1 and manifest["parent"] is None
    assert file["event_time_max"] == "2013-01-01T00:09:00Z" and file["rows"] == 10
    stored = pq.read_table(await service.kit.objects.local_path("default", file["sha256"]))
    assert stored.schema.field("at").type == pa.timestamp("us", "UTC") and stored.num_rows == 10
    rows = (await service.viewer.get(f"{BASE}/batches/{batch['id']}/failing-rows")).json()
    assert rows == {"batch": batch["id"], "total": 0, "rows": []}


async def test_bad_rows_are_set_aside_with_their_places(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    table = make_columns(100, distance=[9000.0 if index % 2 else 100.0 for index in range(100)])
    table["id"][1] = table["id"][0]
    table["note"] = [None] * 60 + ["x"] * 40
    batch = await send(service, name, make_parquet(table))
    assert batch["state"] == "quarantined" and batch["version"] is None
    said = sentences(batch)
    assert said["distance:values-to-be-between"] == "distance: 50 of 100 rows outside [17, 5000]"
    assert said["keys:unique"] == "id: 2 of 100 rows share their key with another row"
    assert said["note:values-to-not-be-null"] == "note: 60 of 100 rows are null (at most 0.5 of them may)"
    found = (await service.viewer.get(f"{BASE}/batches/{batch['id']}/failing-rows")).json()
    assert found["total"] == 80 and len(found["rows"]) == 50
    first = found["rows"][0]
    assert first["_row"] == 0 and first["_checks"] == ["keys:unique", "note:values-to-not-be-null"]
    assert first["at"] == "2013-01-01T00:00:00+00:00"
    event = next(e for _, e in await service.relayed(BatchQuarantined) if e.dataset == name)
    assert event.failed == ["keys:unique", "distance:values-to-be-between"] and event.failing_rows == 80
    assert (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["latest"] is None


async def test_a_warning_is_recorded_and_does_not_block(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    batch = await send(service, name, make_parquet(make_columns(note=[None] * 9 + ["x"])))
    assert batch["state"] == "committed"
    await service.until(lambda: found(service, name))
    event = (await found(service, name))[0]
    assert event.warnings == ["note:values-to-not-be-null"]


async def found(service: Harness, name: str) -> list[DatasetCommitted]:
    return [event for _, event in await service.relayed(DatasetCommitted) if event.dataset == name]


async def test_an_expectation_that_raises_is_an_error_and_blocks(
    service: Harness, dataset: Make, make_contract: Make, make_parquet: Make
) -> None:
    document = make_contract()
    document["expectations"] += [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "distance", "regex": "["}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "ghost", "min_value": 1},
            "severity": "info",
        },
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "distance"}, "severity": "warning"},
    ]
    batch = await send(service, await dataset(contract=document), make_parquet())
    outcomes = {check["key"]: (check["severity"], check["outcome"]) for check in batch["verdict"]["checks"]}
    assert batch["state"] == "quarantined"
    assert outcomes["distance:values-to-match-regex"] == ("critical", "error")
    assert outcomes["ghost:values-to-be-between"] == ("info", "error")
    assert outcomes["distance:values-to-be-between#2"] == ("warning", "error")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("infinite", "distance:finite"),
        ("null key", "id:present"),
        ("null time", "at:present"),
        ("missing", "missing-columns:distance"),
        ("text", "wrong-type:distance"),
        ("wide", "too-many-columns"),
    ],
)
async def test_rows_and_columns_no_dataset_takes(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make, change: str, rule: str
) -> None:
    name = await dataset()
    if (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["latest"] is None:
        assert (await send(service, name, make_parquet(), "base"))["state"] == "committed"
    table = make_columns(5, start=50)
    if change == "infinite":
        table["distance"] = [20.0, float("-inf"), 30.0, float("nan"), None]
    elif change == "null key":
        table["id"] = [1, None, 2, 3, 4]
    elif change == "null time":
        table["at"] = [None, *table["at"][1:]]
    elif change == "missing":
        del table["distance"]
    elif change == "text":
        table["distance"] = ["a", "b", "c", "d", "e"]
    else:
        table |= {f"c{index}": [0] * 5 for index in range(300)}
    batch = await send(service, name, make_parquet(table), "other")
    assert batch["state"] == "quarantined" and batch["rows"] == (0 if change == "wide" else 5)
    assert rule in sentences(batch), batch["verdict"]


@pytest.mark.parametrize(
    ("content", "filename", "rule"),
    [
        (b"id,at\n1,2\n", "text.parquet", "not-parquet"),
        (b"PAR1 and no end", "cut.parquet", "truncated"),
        (b"id;at;distance;note\n1;2;3;4\n", "semicolon.csv", "wrong-delimiter"),
        (b"id,at,distance,note\n", "header.csv", "no-rows"),
        (b"id,id\n1,2\n", "twice.csv", "duplicate-columns:id"),
        (b'{"id":1}\n{"id"', "cut.jsonl", "not-jsonlines"),
        (b"id,at,distance,note\n", "plain.csv.gz", "not-gzip"),
        (b"id,at,distance,note\n", "plain.tar", "corrupt-tar"),
    ],
)
async def test_files_that_are_not_what_they_say(
    service: Harness, dataset: Make, content: bytes, filename: str, rule: str
) -> None:
    batch = await send(service, await dataset(), content, filename=filename)
    assert batch["state"] == "quarantined" and batch["version"] is None
    assert list(sentences(batch)) == [rule]
    kept = await service.kit.objects.read("default", batch["id"])
    assert kept == content


async def test_csv_and_parquet_of_the_same_rows_are_the_same_version(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    first = await send(service, name, make_parquet())
    table = make_columns()
    lines = [
        f"{i},{at:%Y-%m-%dT%H:%M:%SZ},{d},{n}"
        for i, at, d, n in zip(*(table[c] for c in ("id", "at", "distance", "note")), strict=True)
    ]
    text = "\n".join(["id,at,distance,note", *lines])
    second = await send(service, name, text.encode(), filename="trips.csv")
    assert second["media"] == "csv" and second["state"] == "committed", second
    assert second["id"] != first["id"] and second["version"] == first["version"]
    versions = (await service.viewer.get(f"{BASE}/datasets/{name}/versions")).json()["items"]
    assert len(versions) == 1 and len(await found(service, name)) == 1


async def test_a_dvc_user_gets_the_version(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make, tmp_path: Path
) -> None:
    name = await dataset()
    for number in range(3):
        await send(service, name, make_parquet(make_columns(5, start=number * 5)), f"p{number}")
    newest = (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["latest"]
    answer = await service.viewer.get(f"{BASE}/datasets/{name}/versions/{newest}/dvc")
    assert answer.headers["content-type"].startswith("text/plain")
    digest = answer.text.splitlines()[1].removeprefix("- md5: ")
    python = service.kit.settings.job_pythons["ingestion"]
    remote = service.home / "objects" / "default" / "dvc"
    out = tmp_path / "out"
    process = await asyncio.create_subprocess_exec(python, "-c", CHECKOUT, str(remote), digest, str(out))
    assert await process.wait() == 0
    assert sorted(path.name for path in out.iterdir()) == ["p0.parquet", "p1.parquet", "p2.parquet"]
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{newest}")).json()
    for file in manifest["files"]:
        stored = await service.kit.objects.read("default", file["sha256"])
        assert (out / file["path"]).read_bytes() == stored


CHECKOUT = """
import sys
from dvc_data.hashfile import load
from dvc_data.hashfile.build import build
from dvc_data.hashfile.checkout import checkout
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.state import StateNoop
from dvc_objects.fs.local import LocalFileSystem

remote, digest, out = sys.argv[1:]
fs = LocalFileSystem()
store = HashFileDB(fs, remote + "/files/md5", state=StateNoop(), hash_name="md5")
checkout(out, fs, load(store, HashInfo("md5", digest)), store)
assert build(store, out, fs, "md5", dry_run=True)[2].hash_info.value == digest
"""


async def test_a_killed_worker_delays_and_doubles_nothing(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    killed = asyncio.create_task(kill_when_busy(service))
    batch = await send(service, name, make_parquet(make_columns(4000)))
    assert await killed > 0
    assert batch["state"] == "committed"
    versions = (await service.viewer.get(f"{BASE}/datasets/{name}/versions")).json()["items"]
    assert len(versions) == 1 and len(await found(service, name)) == 1


async def kill_when_busy(service: Harness) -> int:
    """Kill the worker as soon as it works on something; its process id."""
    jobs = service.kit.jobs
    while True:
        await asyncio.sleep(0.001)
        for worker in jobs.at_work:
            await asyncio.sleep(0.03)
            os.killpg(worker.process.pid, signal.SIGKILL)
            return worker.process.pid


async def test_after_a_fix_of_the_contract_a_replay_commits(
    service: Harness, dataset: Make, make_contract: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    content = make_parquet(make_columns(distance=[6000.0] * 10))
    batch = await send(service, name, content)
    assert batch["state"] == "quarantined"
    again = await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    assert again.status_code == 202
    assert (await ended(service, batch["id"]))["state"] == "quarantined"
    await dataset(contract=make_contract(high=7000))
    assert (await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")).status_code == 202
    assert (await ended(service, batch["id"]))["state"] == "committed"
    refused = await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    assert refused.status_code == 409 and "already" in refused.json()["hint"]


async def test_a_corrected_batch_takes_the_place_of_the_quarantined_one(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    bad = await send(service, name, make_parquet(make_columns(distance=[1.0] * 10)))
    good = await send(service, name, make_parquet(), replaces=bad["id"])
    assert good["state"] == "committed" and good["replaces"] == bad["id"]
    assert (await service.viewer.get(f"{BASE}/batches/{bad['id']}")).json()["state"] == "replaced"


async def test_bytes_that_had_the_wrong_name_are_read_under_the_right_one(
    service: Harness, dataset: Make, make_columns: Make
) -> None:
    name = await dataset()
    rows = (dict(zip(make_columns(), row, strict=True)) for row in zip(*make_columns().values(), strict=True))
    content = "".join(f"{json.dumps(row, default=lambda at: at.isoformat())}\n" for row in rows).encode()
    assert (await send(service, name, content, filename="trips.csv"))["state"] == "quarantined"
    batch = await send(service, name, content, filename="trips.jsonl")
    assert batch["state"] == "committed" and batch["media"] == "jsonlines" and batch["filename"] == "trips.jsonl"


async def test_a_folder_of_part_files_in_gzip_is_one_batch(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make, tmp_path: Path
) -> None:
    name = await dataset()
    folder = tmp_path / "2013.parquet"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    for part in range(3):
        (folder / f"part-{part}.parquet").write_bytes(make_parquet(make_columns(5, start=part * 5)))
    content, filename = batch_file(folder)
    batch = await send(service, name, gzip.compress(content, mtime=0), filename=f"{filename}.gz")
    assert batch["state"] == "committed" and batch["media"] == "tar+gzip" and batch["rows"] == 15
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{batch['version']}")).json()
    assert [file["path"] for file in manifest["files"]] == ["one.parquet"]


async def test_an_export_with_decimals_lists_and_voids_is_committed_and_gets_types_later(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    odd = {"price": [Decimal("1.50")] * 10, "tags": [["a"]] * 10, "void": pa.nulls(10)}
    first = await send(service, name, make_parquet(make_columns(10, **odd)), "a")
    assert first["state"] == "committed", first["verdict"]
    second = await send(service, name, make_parquet(make_columns(10, start=10, **{**odd, "void": ["now"] * 10})), "b")
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{second['version']}")).json()
    kept = {column: manifest["columns"][column] for column in odd}
    assert kept == {"price": "decimal(3,2)", "tags": "list<item: string>", "void": "string"}


async def test_contracts_speak_of_instants_in_iso_and_an_error_says_what_to_write(
    service: Harness, dataset: Make, make_contract: Make, make_parquet: Make, make_columns: Make
) -> None:
    def between(column: str, **bounds: Any) -> dict[str, Any]:
        kwargs = {"column": column, **bounds}
        return {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "info"}

    document = make_contract()
    document["expectations"] += [
        between("at", min_value="2013-01-01", max_value="2013-01-01T00:05:00Z"),
        between("day", min_value="2013-01-02"),
        between("price", min_value=2),
        between("at", min_value="01.02.2013") | {"meta": {"key": "german"}},
        between("fare", min_value=1),
        between("void", min_value=1) | {"type": "expect_column_mean_to_be_between"},
    ]
    table = make_columns(
        10, day=[date(2013, 1, 1)] * 10, price=[Decimal("1.50")] * 10, fare=["1", "1,234.5"] * 5, void=pa.nulls(10)
    )
    batch = await send(service, await dataset(contract=document), make_parquet(table))
    assert batch["state"] == "committed", batch["verdict"]
    checks = {check["key"]: check for check in batch["verdict"]["checks"]}
    assert checks["at:values-to-be-between"]["failing_rows"] == 4
    assert checks["at:values-to-be-between"]["severity"] == "info"
    assert checks["day:values-to-be-between"]["sentence"] == "day: 10 of 10 rows below 2013-01-02"
    assert checks["price:values-to-be-between"]["failing_rows"] == 10
    assert "write it as ISO 8601, 2013-01-31T05:15:00Z" in checks["german"]["sentence"]
    said = checks["fare:values-to-be-between"]["sentence"]
    assert checks["fare:values-to-be-between"]["outcome"] == "error"
    assert "since '1,234.5' is no number: set `thousands: \",\"` under `media`" in said
    assert (await found(service, batch["dataset"]))[0].warnings == ["fare:looks-like"]


async def test_a_flipped_file_under_another_name_adds_no_row(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    first = await send(service, name, make_parquet(make_columns(20)), "2013-01")
    flipped = make_columns(8, start=15, distance=[500.0] * 8)
    batch = await send(service, name, make_parquet(flipped), "2013-01-again")
    assert batch["state"] == "quarantined"
    assert sentences(batch)["keys:unique-in-version"].startswith(
        "id: 5 of 8 rows have a key that another partition has already: '2013-01' (5); send corrected rows"
    )
    rows = (await service.viewer.get(f"{BASE}/batches/{batch['id']}/failing-rows")).json()
    assert rows["total"] == 5 and [row["id"] for row in rows["rows"]] == [15, 16, 17, 18, 19]
    await dataset(onRepeatedKeys="replace")
    assert (await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")).status_code == 202
    moved = await ended(service, batch["id"])
    assert moved["state"] == "committed", moved
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{moved['version']}")).json()
    assert [(file["partition"], file["rows"]) for file in manifest["files"]] == [("2013-01", 15), ("2013-01-again", 8)]
    assert manifest["files"][0]["event_time_max"] == "2013-01-01T00:14:00Z"
    before = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{first['version']}")).json()
    assert [file["rows"] for file in before["files"]] == [20]


async def test_a_type_is_widened_in_every_file_or_nowhere(
    service: Harness, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    await send(service, name, make_parquet(make_columns(3), code=[1, 2, None]), "a")
    await send(service, name, make_parquet(make_columns(3, start=5), code=[2**60 + 1, 2, 3]), "b")
    later = make_parquet(make_columns(2, start=9), code=[1.5, None])
    batch = await send(service, name, later, "c")
    assert batch["state"] == "quarantined" and "cannot be held as int64" in sentences(batch)["wrong-type:code"]
    await dataset(columns={"code": "float64"})
    await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    failed = await ended(service, batch["id"])
    assert failed["state"] == "failed" and "partition 'b' cannot take the declared types" in failed["problem"]["detail"]
    await dataset(columns={"code": "decimal(30,2)"})
    await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    assert (await ended(service, batch["id"]))["state"] == "committed"
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions")).json()["items"][0]
    assert manifest["columns"]["code"] == "decimal(30,2)"
    stored = [pq.read_table(await service.kit.objects.local_path("default", f["sha256"])) for f in manifest["files"]]
    assert [table["code"].to_pylist() for table in stored] == [
        [Decimal("1.00"), Decimal("2.00"), None], [Decimal(f"{2**60 + 1}.00"), Decimal(2), Decimal(3)],
        [Decimal("1.50"), None],
    ]  # fmt: skip


async def test_columns_come_and_go(service: Harness, dataset: Make, make_parquet: Make, make_columns: Make) -> None:
    name = await dataset()
    await send(service, name, make_parquet(make_columns(3)), "a")
    with_more = await send(service, name, make_parquet(make_columns(3, start=5), more=["x", None, "y"]), "b")
    assert with_more["state"] == "committed" and "more:new-column" in sentences(with_more)
    without = await send(service, name, make_parquet(make_columns(3, start=9)), "c")
    assert without["state"] == "committed" and "more:missing-column" in sentences(without)
    event = next(e for _, e in await service.relayed(DatasetCommitted) if e.partition == "c" and e.dataset == name)
    assert event.warnings == ["more:missing-column"]
    shown = (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["columns"]
    assert shown == {"id": "int64", "at": "timestamp", "distance": "float64", "note": "string", "more": "string"}
