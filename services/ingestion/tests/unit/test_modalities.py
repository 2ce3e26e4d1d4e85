"""Every modality under one suite; and what the modality `table` makes of a file's columns."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.kinds.modalities import MODALITY_SPECS
from capstan_contracts.kinds.sources import SOURCE_SPECS
from capstan_ingestion.modalities.port import MODALITIES
from capstan_ingestion.sources.port import SOURCES
from capstan_testkit.suites.modalities import Check, ModalityBehaviour

Make = Callable[..., Any]
AT = datetime(2013, 1, 1, tzinfo=UTC)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def tar(**files: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"out/{name.replace('__', '.')}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


GOOD = {"table": parquet(id=[1, 2], at=[AT, AT + timedelta(hours=1)])}
BAD = {"table": b"PAR1 and no end"}


def test_the_schema_and_the_implementations_name_the_same_kinds() -> None:
    assert MODALITIES.names == MODALITY_SPECS.names == tuple(sorted(GOOD))
    assert SOURCES.names == SOURCE_SPECS.names
    assert MODALITIES.broken() == SOURCES.broken() == MODALITY_SPECS.broken() == SOURCE_SPECS.broken() == []
    assert [SOURCES.get(name).kind for name in SOURCES.names] == list(SOURCES.names)
    assert [MODALITIES.get(name).kind for name in MODALITIES.names] == list(MODALITIES.names)


class TestModalities(ModalityBehaviour):
    @pytest.fixture(params=sorted(GOOD))
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def good(self, kind: str) -> bytes:
        return GOOD[kind]

    @pytest.fixture
    def bad(self, kind: str) -> bytes:
        return BAD[kind]

    @pytest.fixture
    def check(self, arrive: Make, kind: str) -> Check:
        return lambda content, **failing: arrive(content, kind=kind, severities=tuple(failing))


GERMAN = "id;at;amount;zip\r\n1;31.01.2013 05:15;1.234,56;01234\r\n2;01.02.2013 05:15;12,5;00001\r\n"
SHEET = {
    "kind": "csv", "delimiter": ";", "decimal": ",", "thousands": ".", "encoding": "cp1252",
    "timeFormat": "%d.%m.%Y %H:%M", "zone": "Europe/Zurich",
}  # fmt: skip


def test_the_export_of_a_spreadsheet_comes_in_as_it_is(arrive: Make) -> None:
    declared = {"zip": "string", "amount": "decimal(18,2)"}
    made = arrive(GERMAN.encode("cp1252"), "csv", media=SHEET, columns=declared)
    assert made.outcome.columns == {"id": "int64", "at": "timestamp", "amount": "decimal(18,2)", "zip": "string"}
    first = made.seen.to_pylist()[0]
    assert first["at"].isoformat() == "2013-01-31T04:15:00+00:00"
    assert first["amount"] == Decimal("1234.56") and first["zip"] == "01234"
    plain = arrive(GERMAN.encode("cp1252"), "csv", media=SHEET)
    assert plain.outcome.columns["amount"] == "float64" and plain.seen["amount"].to_pylist() == [1234.56, 12.5]


@pytest.mark.parametrize(
    ("missing", "rule", "remedy"),
    [
        ("delimiter", "wrong-delimiter", 'delimiter: ";"'),
        ("timeFormat", "wrong-type:at", "timeFormat: '%d.%m.%Y %H:%M'"),
        ("thousands", "wrong-type:amount", 'decimal: ",", thousands: "."'),
    ],
)
def test_a_setting_that_is_missing_is_named(arrive: Make, missing: str, rule: str, remedy: str) -> None:
    settings = {name: value for name, value in SHEET.items() if name != missing}
    made = arrive(GERMAN.encode("cp1252"), "csv", media=settings, columns={"amount": "float64"})
    assert list(made.sentences) == [rule] and remedy in made.sentences[rule]


def test_every_type_of_an_export_is_kept(arrive: Make) -> None:
    content = parquet(
        id=[1], at=[AT], price=[Decimal("1234567890123.12")], void=pa.nulls(1), clock=[time(5, 15)],
        length=[timedelta(hours=1)], raw=[b"\x00\xff"], tags=[["a", "b"]], place=[{"lat": 1.5}], day=[date(2013, 1, 1)],
        code=pa.array(["x"]).dictionary_encode(), pairs=pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())),
    )  # fmt: skip
    made = arrive(content)
    assert made.outcome.verdict.passed
    assert made.outcome.columns == {
        "id": "int64", "at": "timestamp", "price": "decimal(15,2)", "void": "null", "clock": "time", "length": "int64",
        "raw": "binary", "tags": "list<item: string>", "place": "struct<lat: double>", "day": "date", "code": "string",
        "pairs": "map<string, int64>",
    }  # fmt: skip
    stored = pq.read_table(made.scratch / str(made.outcome.canonical)).to_pylist()[0]
    assert stored["price"] == Decimal("1234567890123.12") and stored["length"] == 3_600_000_000
    assert stored["clock"] == time(5, 15) and stored["raw"] == b"\x00\xff" and stored["tags"] == ["a", "b"]
    assert stored["void"] is None


def test_failing_rows_of_every_type_are_written(arrive: Make) -> None:
    two = parquet(
        id=[1, 2], at=[AT, AT], price=[Decimal("1.5")] * 2, clock=[time(5, 15)] * 2, raw=[b"\xff"] * 2,
        tags=[[AT]] * 2, place=[{"lat": float("nan")}] * 2,
    )  # fmt: skip
    made = arrive(two, severities=["critical"])
    (row,) = json.loads((made.scratch / str(made.outcome.failing_rows)).read_text())
    assert row["price"] == "1.5" and row["clock"] == "05:15:00" and row["raw"] == "ff"
    assert row["tags"] == ["2013-01-01T00:00:00+00:00"] and row["place"] == {"lat": "nan"}


def test_a_declared_type_is_the_stored_type(arrive: Make) -> None:
    content = parquet(id=[1], at=[AT], price=[Decimal("1.5")], zip=[1234], big=pa.array([2**64 - 1], pa.uint64()))
    declared = {"price": "float64", "zip": "string", "big": "decimal(20,0)"}
    made = arrive(content, columns=declared)
    assert {name: made.outcome.columns[name] for name in declared} == declared
    refused = arrive(content, columns={"price": "int64"})
    assert "cannot be held as int64" in refused.sentences["wrong-type:price"]
    assert "it is declared" in arrive(content, columns={"ghost": "int64"}).sentences["missing-columns:ghost"]


def test_columns_that_nothing_reads_cost_no_batch(arrive: Make) -> None:
    wide = pa.array([Decimal(1)], pa.decimal256(50, 2))
    assert "unknown-type:x" in arrive(parquet(id=[1], at=[AT], x=wide)).sentences
    made = arrive(parquet(id=[1], at=[AT], x=wide), ignore=["x"])
    assert made.outcome.columns == {"id": "int64", "at": "timestamp"}
    # Ignored only after other files had it: null from now on, under its type.
    earlier = {"id": "int64", "at": "timestamp", "x": "list<item: int64>"}
    made = arrive(parquet(id=[1], at=[AT], x=["now a text"]), ignore=["x"], earlier=earlier)
    assert made.outcome.verdict.passed and made.outcome.columns == earlier


def test_a_column_that_had_no_value_gets_the_type_of_the_first(arrive: Make) -> None:
    earlier = {"id": "int64", "at": "timestamp", "x": "null"}
    assert arrive(parquet(id=[1], at=[AT], x=["a"]), earlier=earlier).outcome.columns["x"] == "string"
    assert arrive(parquet(id=[1], at=[AT]), earlier=earlier).outcome.columns["x"] == "null"
    typed = {**earlier, "x": "string"}
    assert arrive(parquet(id=[1], at=[AT], x=pa.nulls(1)), earlier=typed).outcome.columns["x"] == "string"


def test_an_index_without_a_name_is_named_as_what_it_is(arrive: Make) -> None:
    content = b",id,at,\n0,1,2013-01-01T00:00:00Z,\n1,2,2013-01-01T00:00:00Z,\n"
    made = arrive(content, "csv")
    assert made.outcome.verdict.passed and list(made.outcome.columns) == ["id", "at"]
    assert "row index that data frames write" in made.sentences["Unnamed: 0:index-column"]
    assert "is empty" in made.sentences["Unnamed: 3:index-column"]
    kept = arrive(content, "csv", rename={"Unnamed: 0": "place"})
    assert list(kept.outcome.columns) == ["place", "id", "at"]
    used = arrive(b"id,at,\n1,2013-01-01T00:00:00Z,7\n", "csv")
    assert "column 3 has no name" in used.sentences["column-names:Unnamed: 2"]


def test_names_are_mended_in_the_dataset_and_not_in_the_file(arrive: Make) -> None:
    content = "id,at,Delay (min),größe\n1,2013-01-01T00:00:00Z,7,x\n".encode()
    made = arrive(
        content, "csv", rename={"Delay (min)": "delay_min", "größe": "size"}, columns={"delay_min": "float64"}
    )
    assert made.outcome.columns == {"id": "int64", "at": "timestamp", "delay_min": "float64", "size": "string"}
    twice = arrive(b"id,at,a,b\n1,2013-01-01T00:00:00Z,7,x\n", "csv", rename={"a": "b"})
    assert "'a' is renamed to it" in twice.sentences["duplicate-columns:b"]
    case = arrive(b"id,at,x,X\n1,2013-01-01T00:00:00Z,7,x\n", "csv")
    assert "by case alone" in case.sentences["duplicate-columns:X"]


PART = b"id,at,x\n1,2013-01-01T00:00:00Z,1\n"


def test_a_folder_of_part_files_is_one_batch(arrive: Make) -> None:
    parts = {
        "part-1__parquet": parquet(id=[2], at=[AT], note=["x"]),
        "part-0__parquet": parquet(id=[1], at=[AT], note=pa.nulls(1)),
        "part-2__parquet": parquet(id=pa.array([], pa.int64()), at=pa.array([], pa.timestamp("us")), note=pa.nulls(0)),
    }
    marks = {"_SUCCESS": b"", "__part-0__crc": b"crc"}
    made = arrive(tar(**parts, **marks), "tar")
    assert made.seen["id"].to_pylist() == [1, 2] and made.seen["note"].to_pylist() == [None, "x"]
    assert arrive(gzip.compress(tar(**parts), mtime=0), "tar+gzip").outcome.columns == made.outcome.columns
    spark = {"_SUCCESS": b"", "a__csv": PART, "b__csv": b"", "c__csv__gz": gzip.compress(PART, mtime=0)}
    assert arrive(tar(**spark), "tar").outcome.verdict.rows == 2


@pytest.mark.parametrize(
    ("files", "rule", "said"),
    [
        ({"a__csv": PART, "b__csv": PART.replace(b",1\n", b",y\n")}, "part-types:x", "string in out/b.csv; declare"),
        ({"a__csv": PART, "b__csv": b"id,at\n1,2013-01-01T00:00:00Z\n"}, "part-columns:x", "out/b.csv: column 'x'"),
        ({"a__csv": PART, "b__csv": b""}, "empty-file", "out/b.csv: the file has no bytes"),
        ({"a__csv": PART, "b__parquet": GOOD["table"]}, "mixed-media", "csv and parquet"),
        ({"a__xlsx": b"x"}, "unknown-medium", "out/a.xlsx"),
        ({"a__csv__gz": gzip.compress(PART, mtime=0)[:-6]}, "truncated", "out/a.csv.gz: the gzip stream was cut off"),
        ({}, "no-rows", "no file with rows"),
        ({"a__csv": b"id,at\n"}, "no-rows", "columns but no rows"),
    ],
)
def test_a_folder_that_is_no_batch(arrive: Make, files: dict[str, bytes], rule: str, said: str) -> None:
    made = arrive(tar(**files), "tar")
    assert list(made.sentences) == [rule] and said in made.sentences[rule]


@pytest.mark.parametrize(
    ("content", "form", "rule", "said"),
    [
        (tar(a__csv=PART)[:700], "tar", "corrupt-tar", "cut off"),
        (gzip.compress(PART, mtime=0)[:-6], "csv+gzip", "truncated", "cut off"),
        (
            gzip.compress(PART, mtime=0)[:12] + b"zz" + gzip.compress(PART, mtime=0)[14:],
            "csv+gzip",
            "corrupt-gzip",
            "damaged",
        ),
        (PART, "csv+gzip", "not-gzip", "begins with"),
        (gzip.compress(PART, mtime=0), "csv", "not-csv", "ends with .gz"),
        (gzip.compress(b"id,at,x\n" + b"0" * (1 << 26), mtime=0), "csv+gzip", "too-large", "more than 16,777,216"),
        (PART + b'2,2013-01-01T00:00:00Z,"x\n', "csv", "open-quote:x", "row 2 opens a quote"),
        (PART + b"2,2013-01-01T00:00:00Z," + b"9" * 25 + b"\n", "csv", "too-big:x", "row 2 has"),
        (PART + b"2,2013-01-01T00:00:00Z,9007199254740993\n3,2013-01-01,1.5\n", "csv", "too-big:x", "no integers"),
        (lines({"id": 1, "at": "2013-01-01", "x": 10**25}), "jsonlines", "too-big:x", "row 1 has"),
        (lines(*({"id": 1, "at": "2013-01-01", "x": x} for x in (0.5, 2**53 + 1))), "jsonlines", "too-big:x", "row 2"),
        (lines({"id": 1, "x": 1}, {"id": 2, "x": "a"}), "jsonlines", "wrong-type:x", "line 2: is a string, and a"),
        (b'{"id":1}\n\n{"id":1,"at":"20', "jsonlines", "not-jsonlines", "line 3"),
        (b'[{"id":1}]', "jsonlines", "not-jsonlines", "JSON array"),
        (b'{"id":1,"id":2}\n', "jsonlines", "duplicate-columns", "line 1"),
    ],
)
def test_a_file_that_is_broken(arrive: Make, content: bytes, form: str, rule: str, said: str) -> None:
    made = arrive(content, form)
    assert list(made.sentences) == [rule] and said in made.sentences[rule]


def test_numbers_that_are_none_are_null_or_named(arrive: Make) -> None:
    content = b"id,at,x\n1,2013-01-01T00:00:00Z,nan\n2,2013-01-01T00:00:00Z,inf\n3,2013-01-01T00:00:00Z,1.5\n"
    made = arrive(content, "csv")
    assert made.seen["x"].to_pylist() == [None, float("inf"), 1.5]
    assert made.sentences["x:finite"] == "x: 1 of 3 rows are infinite, the first is row 1"


def test_a_wall_time_is_of_its_zone(arrive: Make) -> None:
    zone = {"kind": "parquet", "zone": "Europe/Zurich"}
    twice = arrive(parquet(id=[1], at=[datetime(2013, 10, 27, 2, 30)]), media=zone)
    assert twice.outcome.event_time_min == datetime(2013, 10, 27, 0, 30, tzinfo=UTC)
    never = arrive(parquet(id=[1], at=[datetime(2013, 3, 31, 2, 30)]), media=zone)
    assert "does not exist in Europe/Zurich" in never.sentences["no-such-time:at"]
    json_ = {"kind": "jsonlines", "zone": "Europe/Zurich"}
    both = lines({"id": 1, "at": "2013-01-01T05:15:00+05:00", "u": "2013-01-01T05:15:00"})
    made = arrive(both, "jsonlines", media=json_).seen.to_pylist()[0]
    assert made["at"].isoformat() == "2013-01-01T00:15:00+00:00"
    assert made["u"].isoformat() == "2013-01-01T04:15:00+00:00"


def test_rows_of_one_key_are_found_with_nulls_and_several_columns(arrive: Make) -> None:
    content = parquet(id=[1, None, 1, None], name=["a", "b", "a", "c"], at=[AT] * 4)
    made = arrive(content, keys=["id", "name"])
    assert "2 of 4 rows share their key" in made.sentences["keys:unique"]
    nested = arrive(parquet(id=[[1]], at=[AT]))
    assert "a key is one value" in nested.sentences["key-type:id"]


def test_a_declaration_that_contradicts_the_other_files_is_refused(arrive: Make) -> None:
    earlier = {"id": "int64", "at": "timestamp", "x": "bool"}
    made = arrive(parquet(id=[1], at=[AT], x=[1]), columns={"x": "date"}, earlier=earlier)
    assert "the dataset's files have bool" in made.sentences["declared-type:x"]
