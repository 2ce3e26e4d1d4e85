"""What real checks find, through the HTTP API: Great Expectations in a worker process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.events import BatchQuarantined
from capstan_testkit.harness import Harness

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]
Make = Callable[..., Any]
BASE = "/v1/projects/default"


async def test_good_rows_become_a_version(service: Harness, real: Any, dataset: Make, make_parquet: Make) -> None:
    name = await dataset()
    batch = await real.send(name, make_parquet(), "2013-01")
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
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    table = make_columns(100, distance=[9000.0 if index % 2 else 100.0 for index in range(100)])
    table["id"][1] = table["id"][0]
    table["note"] = [None] * 60 + ["x"] * 40
    batch = await real.send(name, make_parquet(table))
    assert batch["state"] == "quarantined" and batch["version"] is None
    said = real.sentences(batch)
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
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make
) -> None:
    name = await dataset()
    batch = await real.send(name, make_parquet(make_columns(note=[None] * 9 + ["x"])))
    assert batch["state"] == "committed"
    await service.until(lambda: real.committed(name))
    event = (await real.committed(name))[0]
    assert event.warnings == ["note:values-to-not-be-null"]


async def test_an_expectation_that_raises_is_an_error_and_blocks(
    real: Any, dataset: Make, make_contract: Make, make_parquet: Make
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
    batch = await real.send(await dataset(contract=document), make_parquet())
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
    service: Harness, real: Any, dataset: Make, make_parquet: Make, make_columns: Make, change: str, rule: str
) -> None:
    name = await dataset()
    if (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["latest"] is None:
        assert (await real.send(name, make_parquet(), "base"))["state"] == "committed"
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
    batch = await real.send(name, make_parquet(table), "other")
    assert batch["state"] == "quarantined" and batch["rows"] == (0 if change == "wide" else 5)
    assert rule in real.sentences(batch), batch["verdict"]


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
    service: Harness, real: Any, dataset: Make, content: bytes, filename: str, rule: str
) -> None:
    batch = await real.send(await dataset(), content, filename=filename)
    assert batch["state"] == "quarantined" and batch["version"] is None
    assert list(real.sentences(batch)) == [rule]
    kept = await service.kit.objects.read("default", batch["id"])
    assert kept == content


async def test_contracts_speak_of_instants_in_iso_and_an_error_says_what_to_write(
    service: Harness, real: Any, dataset: Make, make_contract: Make, make_parquet: Make, make_columns: Make
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
    batch = await real.send(await dataset(contract=document), make_parquet(table))
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
    assert (await real.committed(batch["dataset"]))[0].warnings == ["fare:looks-like"]
