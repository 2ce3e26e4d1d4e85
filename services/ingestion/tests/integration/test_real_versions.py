"""Versions through the HTTP API with the real job environment: DVC in worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capstan_contracts.events import DatasetCommitted
from capstan_testkit.harness import Harness

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]
Make = Callable[..., Any]
BASE = "/v1/projects/default"


async def test_csv_and_parquet_of_the_same_rows_are_the_same_version(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    first = await real.send(name, make_parquet())
    table = make_columns()
    lines = [
        f"{i},{at:%Y-%m-%dT%H:%M:%SZ},{d},{n}"
        for i, at, d, n in zip(*(table[c] for c in ("id", "at", "distance", "note")), strict=True)
    ]
    text = "\n".join(["id,at,distance,note", *lines])
    second = await real.send(name, text.encode(), filename="trips.csv")
    assert second["media"] == "csv" and second["state"] == "committed", second
    assert second["id"] != first["id"] and second["version"] == first["version"]
    versions = (await service.viewer.get(f"{BASE}/datasets/{name}/versions")).json()["items"]
    assert len(versions) == 1 and len(await real.committed(name)) == 1


async def test_a_dvc_user_gets_the_version(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make, tmp_path: Path
) -> None:
    name = await dataset()
    for number in range(3):
        await real.send(name, make_parquet(make_columns(5, start=number * 5)), f"p{number}")
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
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    killed = asyncio.create_task(kill_when_busy(service))
    batch = await real.send(name, make_parquet(make_columns(4000)))
    assert await killed > 0
    assert batch["state"] == "committed"
    versions = (await service.viewer.get(f"{BASE}/datasets/{name}/versions")).json()["items"]
    assert len(versions) == 1 and len(await real.committed(name)) == 1


async def kill_when_busy(service: Harness) -> int:
    """Kill the worker as soon as it works on something; its process id."""
    jobs = service.kit.jobs
    while True:
        await asyncio.sleep(0.001)
        for worker in jobs.at_work:
            await asyncio.sleep(0.03)
            os.killpg(worker.process.pid, signal.SIGKILL)
            return worker.process.pid


async def test_a_flipped_file_under_another_name_adds_no_row(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    first = await real.send(name, make_parquet(make_columns(20)), "2013-01")
    flipped = make_columns(8, start=15, distance=[500.0] * 8)
    batch = await real.send(name, make_parquet(flipped), "2013-01-again")
    assert batch["state"] == "quarantined"
    assert real.sentences(batch)["keys:unique-in-version"].startswith(
        "id: 5 of 8 rows have a key that another partition has already: '2013-01' (5); send corrected rows"
    )
    rows = (await service.viewer.get(f"{BASE}/batches/{batch['id']}/failing-rows")).json()
    assert rows["total"] == 5 and [row["id"] for row in rows["rows"]] == [15, 16, 17, 18, 19]
    await dataset(onRepeatedKeys="replace")
    assert (await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")).status_code == 202
    moved = await real.ended(batch["id"])
    assert moved["state"] == "committed", moved
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{moved['version']}")).json()
    assert [(file["partition"], file["rows"]) for file in manifest["files"]] == [("2013-01", 15), ("2013-01-again", 8)]
    assert manifest["files"][0]["event_time_max"] == "2013-01-01T00:14:00Z"
    before = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{first['version']}")).json()
    assert [file["rows"] for file in before["files"]] == [20]


async def test_a_type_is_widened_in_every_file_or_nowhere(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    await real.send(name, make_parquet(make_columns(3), code=[1, 2, None]), "a")
    await real.send(name, make_parquet(make_columns(3, start=5), code=[2**60 + 1, 2, 3]), "b")
    later = make_parquet(make_columns(2, start=9), code=[1.5, None])
    batch = await real.send(name, later, "c")
    assert batch["state"] == "quarantined" and "cannot be held as int64" in real.sentences(batch)["wrong-type:code"]
    await dataset(columns={"code": "float64"})
    await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    failed = await real.ended(batch["id"])
    assert failed["state"] == "failed" and "partition 'b' cannot take the declared types" in failed["problem"]["detail"]
    await dataset(columns={"code": "decimal(30,2)"})
    await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    assert (await real.ended(batch["id"]))["state"] == "committed"
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions")).json()["items"][0]
    assert manifest["columns"]["code"] == "decimal(30,2)"
    stored = [pq.read_table(await service.kit.objects.local_path("default", f["sha256"])) for f in manifest["files"]]
    assert [table["code"].to_pylist() for table in stored] == [
        [Decimal("1.00"), Decimal("2.00"), None], [Decimal(f"{2**60 + 1}.00"), Decimal(2), Decimal(3)],
        [Decimal("1.50"), None],
    ]  # fmt: skip


async def test_columns_come_and_go(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    await real.send(name, make_parquet(make_columns(3)), "a")
    with_more = await real.send(name, make_parquet(make_columns(3, start=5), more=["x", None, "y"]), "b")
    assert with_more["state"] == "committed" and "more:new-column" in real.sentences(with_more)
    without = await real.send(name, make_parquet(make_columns(3, start=9)), "c")
    assert without["state"] == "committed" and "more:missing-column" in real.sentences(without)
    event = next(e for _, e in await service.relayed(DatasetCommitted) if e.partition == "c" and e.dataset == name)
    assert event.warnings == ["more:missing-column"]
    shown = (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["columns"]
    assert shown == {"id": "int64", "at": "timestamp", "distance": "float64", "note": "string", "more": "string"}
