"""Files of many forms, and corrected ones, through the HTTP API with the real job environment."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from capstan_client.sdk.batch_file import batch_file
from capstan_testkit.harness import Harness

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]
Make = Callable[..., Any]
BASE = "/v1/projects/default"


async def test_after_a_fix_of_the_contract_a_replay_commits(
    service: Harness, real: Any, dataset: Make, make_contract: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    content = make_parquet(make_columns(distance=[6000.0] * 10))
    batch = await real.send(name, content)
    assert batch["state"] == "quarantined"
    again = await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    assert again.status_code == 202
    assert (await real.ended(batch["id"]))["state"] == "quarantined"
    await dataset(contract=make_contract(high=7000))
    assert (await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")).status_code == 202
    assert (await real.ended(batch["id"]))["state"] == "committed"
    refused = await service.operator.post(f"{BASE}/batches/{batch['id']}/replay")
    assert refused.status_code == 409 and "already" in refused.json()["hint"]


async def test_a_corrected_batch_takes_the_place_of_the_quarantined_one(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    bad = await real.send(name, make_parquet(make_columns(distance=[1.0] * 10)))
    good = await real.send(name, make_parquet(), replaces=bad["id"])
    assert good["state"] == "committed" and good["replaces"] == bad["id"]
    assert (await service.viewer.get(f"{BASE}/batches/{bad['id']}")).json()["state"] == "replaced"


async def test_bytes_that_had_the_wrong_name_are_read_under_the_right_one(
    real: Any, dataset: Make, make_columns: Make
) -> None:
    name = await dataset()
    rows = (dict(zip(make_columns(), row, strict=True)) for row in zip(*make_columns().values(), strict=True))
    content = "".join(f"{json.dumps(row, default=lambda at: at.isoformat())}\n" for row in rows).encode()
    assert (await real.send(name, content, filename="trips.csv"))["state"] == "quarantined"
    batch = await real.send(name, content, filename="trips.jsonl")
    assert batch["state"] == "committed" and batch["media"] == "jsonlines" and batch["filename"] == "trips.jsonl"


async def test_a_folder_of_part_files_in_gzip_is_one_batch(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make, tmp_path: Path
) -> None:
    name = await dataset()
    folder = tmp_path / "2013.parquet"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    for part in range(3):
        (folder / f"part-{part}.parquet").write_bytes(make_parquet(make_columns(5, start=part * 5)))
    content, filename = batch_file(folder)
    batch = await real.send(name, gzip.compress(content, mtime=0), filename=f"{filename}.gz")
    assert batch["state"] == "committed" and batch["media"] == "tar+gzip" and batch["rows"] == 15
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{batch['version']}")).json()
    assert [file["path"] for file in manifest["files"]] == ["one.parquet"]


async def test_an_export_with_decimals_lists_and_voids_is_committed_and_gets_types_later(
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    odd = {"price": [Decimal("1.50")] * 10, "tags": [["a"]] * 10, "void": pa.nulls(10)}
    first = await real.send(name, make_parquet(make_columns(10, **odd)), "a")
    assert first["state"] == "committed", first["verdict"]
    second = await real.send(name, make_parquet(make_columns(10, start=10, **{**odd, "void": ["now"] * 10})), "b")
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{second['version']}")).json()
    kept = {column: manifest["columns"][column] for column in odd}
    assert kept == {"price": "decimal(3,2)", "tags": "list<item: string>", "void": "string"}
