"""Files that are not what they claim to be: each is refused with its rule and a place."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.kinds.media import CsvMedium, ParquetMedium
from capstan_contracts.rest.ingestion import Verdict
from capstan_ingestion.domain.file_refused import FileRefused, Limits
from capstan_ingestion.jobs.check import run
from capstan_ingestion.media.csv import Csv
from capstan_ingestion.media.parquet import Parquet
from capstan_ingestion.media.port import Reading
from capstan_ingestion.media.types import plain_type
from capstan_ingestion.modalities.table.canonical import canonical, columns_of, write
from capstan_ingestion.modalities.table.row_rules import check_rows
from capstan_servicekit.jobs.api import Job

Make = Callable[..., Any]


@pytest.fixture
def refusal(tmp_path: Path, make_spec: Make) -> Callable[..., dict[str, str]]:
    """Run the job on bytes that it refuses; rule -> sentence."""

    def check(content: bytes, form: str = "parquet", earlier: dict[str, str] | None = None, **limits: int) -> Any:
        path = tmp_path / "file"
        path.write_bytes(content)
        request = {"path": str(path), "form": form, "dataset": make_spec(), "earlier": earlier or {}, "needed": []}
        defaults = {"max_columns": 100, "max_table_bytes": 1 << 24, "max_failing_rows": 10}
        verdict = Verdict.model_validate((made := run(Job({**request, **defaults, **limits}, tmp_path))).verdict)
        assert made.canonical is None and not verdict.passed
        return {check.key: check.sentence for check in verdict.checks}

    return check


def parquet_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_parquet_that_is_none(refusal: Make, make_parquet: Make, make_columns: Make) -> None:
    good = make_parquet()
    assert "no bytes" in refusal(b"")["empty-file"]
    assert "text/csv" in refusal(b"id,at\n1,2\n")["not-parquet"]
    assert "cut off" in refusal(good[: len(good) // 2])["truncated"]
    assert "cut off" in refusal(b"PAR1")["truncated"]
    assert "corrupt-parquet" in refusal(b"PAR1" + b"\x00" * 40 + b"PAR1")
    assert "corrupt-parquet" in refusal(b"PAR1" + good[4:100] + good[200:])
    assert "no rows" in refusal(make_parquet(make_columns(0), distance=pa.array([], pa.float64())))["no-rows"]
    assert "101 columns" in refusal(make_parquet({f"c{i}": [1] for i in range(101)}))["too-many-columns"]
    assert "at most 64" in refusal(good, max_table_bytes=64)["too-large"]


def test_columns_that_are_repeated_unnamed_or_missing(refusal: Make) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])
    assert "two columns" in refusal(parquet_of(twice))["duplicate-columns:id"]
    assert "column 2" in refusal(parquet_of(pa.table({"id": [1], " ": [2]})))["column-names"]
    found = refusal(parquet_of(pa.table({"id": [1]})))
    assert "the dataset (a clock)" in found["missing-columns:at"]
    assert "the contract (distance:values-to-be-between)" in found["missing-columns:distance"]


def test_types_that_a_dataset_does_not_have(refusal: Make, make_columns: Make) -> None:
    wide = pa.array([1, 2]).cast(pa.decimal128(22, 2)).cast(pa.decimal256(50, 2))
    found = refusal(parquet_of(pa.table({**make_columns(2), "price": wide})))
    assert "declare another under `columns`, or leave it out with `ignore: [price]`" in found["unknown-type:price"]
    found = refusal(parquet_of(pa.table(make_columns(2, at=["yesterday", "today"]))))
    assert "tells a time" in found["wrong-type:at"]
    earlier = {"id": "int64", "at": "timestamp", "distance": "float64", "note": "string"}
    found = refusal(parquet_of(pa.table(make_columns(2, distance=["a", "b"], id=[1.5, 2.0]))), earlier=earlier)
    said = "distance: is string ('a' is one of its values), but the dataset's other files have float64; mend it, or "
    assert found["wrong-type:distance"].startswith(said)
    assert "cannot be held as int64" in found["wrong-type:id"]
    huge = pa.array([2**63, 1], pa.uint64())
    assert "cannot be held" in refusal(parquet_of(pa.table(make_columns(2, id=huge))))["wrong-type:id"]
    far = pa.array([2**61, 0], pa.int64()).cast(pa.timestamp("us"))
    assert "unit" in refusal(parquet_of(pa.table(make_columns(2, at=far))))["timestamp-range:at"]


@pytest.mark.parametrize(
    ("text", "rule", "hint"),
    [
        (b"id;at;distance;note\n1;2;3;4\n", "wrong-delimiter", "parted by ';'"),
        (b"id\tat\n1\t2\n", "wrong-delimiter", "a tab"),
        (b"id,at,id\n1,2,3\n", "duplicate-columns:id", "two columns"),
        (b"id,at,distance,note\n", "no-rows", "no rows"),
        (b"id,at,distance,note\n1,2\n", "row-width", "row 1 has 2 fields, and the header has 4"),
        (b"id,at,distance,note\n1,2013-01-01T00:00:00Z,3,caf\xe9\n", "encoding", "0xe9"),
        (b"\x50\x4b\x03\x04\x00\x00", "not-csv", "save the sheet as CSV"),
        (b"id,at\n1,\0\n", "not-csv", "line 2: a character is zero"),
        (b"id,at,,note\n1,2013-01-01T00:00:00Z,3,4\n", "column-names:Unnamed: 2", "column 3 has no name"),
        ("id,at\n1,2\n".encode("utf-16"), "encoding", "utf-16"),
    ],
)
def test_csv_that_is_none(refusal: Make, text: bytes, rule: str, hint: str) -> None:
    assert hint in refusal(text, "csv")[rule]


def test_csv_names_the_row_that_has_another_type(refusal: Make) -> None:
    rows = "".join(f"{index},2013-01-01T00:00:00Z,1.5,x\n" for index in range(30))
    text = f"id,at,distance,note\n{rows}oops,2013-01-01T00:00:00Z,1.5,x\n"
    earlier = {"id": "int64", "at": "timestamp", "distance": "float64", "note": "string"}
    sentence = refusal(text.encode(), "csv", earlier)["wrong-type:id"]
    assert "oops" in sentence and "row 31" in sentence


LIMITS = Limits(100, 1 << 24)


def test_csv_has_nulls_quotes_a_mark_and_newlines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,at,note\r\n1,2013-01-01T05:00:00Z,"a, ""b""\nc"\r\n,2013-01-02T05:00:00Z,NA\r\n')
    table = canonical(Csv().read(path, Reading(CsvMedium(), LIMITS, {})), {}, {"at"})
    assert columns_of(table) == {"id": "int64", "at": "timestamp", "note": "string"}
    assert table["id"].to_pylist() == [1, None]
    assert table["note"].to_pylist() == ['a, "b"\nc', None]


def test_the_canonical_form_is_narrow_and_deterministic(tmp_path: Path) -> None:
    naive = pa.array([1_500_000_000_123_456_789], pa.timestamp("ns"))
    zoned = pa.array([1_500_000_000_000], pa.timestamp("ms", "America/New_York"))
    table = pa.table(
        {
            "small": pa.array([1], pa.int8()),
            "text": pa.array(["a"]).dictionary_encode(),
            "real": pa.array([float("nan")], pa.float32()),
            "naive": naive,
            "zoned": zoned,
            "day": pa.array([1], pa.date32()),
            "at": pa.array([1], pa.date32()),
        }
    ).replace_schema_metadata({"pandas": "{}"})
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for path in paths:
        write(canonical(table, {}, {"at"}), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = Parquet().read(paths[0], Reading(ParquetMedium(), LIMITS, {}))
    assert columns_of(found) == {
        "small": "int64",
        "text": "string",
        "real": "float64",
        "naive": "timestamp",
        "zoned": "timestamp",
        "day": "date",
        "at": "timestamp",
    }
    assert found["real"].to_pylist() == [None]
    assert found["naive"][0].as_py().isoformat() == "2017-07-14T02:40:00.123456+00:00"
    assert found["zoned"][0].as_py().isoformat() == "2017-07-14T02:40:00+00:00"
    assert found.schema.metadata is None


def test_integers_that_pandas_turned_into_floats_come_back() -> None:
    table = pa.table({"id": [1.0, float("nan")]})
    assert canonical(table, {"id": "int64"}, set())["id"].to_pylist() == [1, None]
    with pytest.raises(FileRefused, match="cannot be held as int64"):
        canonical(pa.table({"id": [1.5]}), {"id": "int64"}, set())


@pytest.mark.parametrize("earlier", ["int64", "decimal(20,0)"])
def test_a_float_that_stands_for_several_integers_is_no_integer(earlier: str) -> None:
    with pytest.raises(FileRefused, match="9007199254740992 is a float in the file"):
        canonical(pa.table({"id": [2.0**53, None]}), {"id": earlier}, set())


def test_an_integer_that_a_float_does_not_hold_never_becomes_one() -> None:
    id_ = pa.table({"id": pa.array([2**53 + 1], pa.decimal128(20, 0))})
    with pytest.raises(FileRefused, match="9007199254740993 is an integer that a float does not hold"):
        canonical(id_, {"id": "float64"}, set())
    assert canonical(id_, {"id": "int64"}, set())["id"].to_pylist() == [2**53 + 1]


@pytest.mark.parametrize(
    ("type_", "lost"),
    [
        ("decimal(20,2)", "12345678901234567.89"),
        ("decimal(38,18)", "0.123456789012345678"),
        ("decimal(38,1)", "9" * 37),
    ],
)  # fmt: skip
def test_a_decimal_with_more_digits_than_a_float_holds_does_not_become_one(type_: str, lost: str) -> None:
    held = plain_type(type_)
    column = pa.array([Decimal("1.5"), None, Decimal(lost)], held)
    with pytest.raises(FileRefused, match=f"x: {lost}[.0]* has more digits than a float holds; declare") as refused:
        canonical(pa.table({"x": column}), {"x": "float64"}, set())
    assert type_ in str(refused.value)


def test_decimals_that_a_float_holds_become_floats_whatever_their_scale() -> None:
    for type_ in (pa.decimal128(20, 2), pa.decimal128(38, 30), pa.decimal128(4, 1)):
        column = pa.array([Decimal("0.1"), None, Decimal("-999.9"), Decimal("0")], type_)
        made = canonical(pa.table({"x": column}), {"x": "float64"}, set())
        assert made["x"].to_pylist() == [0.1, None, -999.9, 0.0]
    cents = pa.array([Decimal(n).scaleb(-2) for n in range(10_000)], pa.decimal128(18, 2))
    made = canonical(pa.table({"x": cents}), {"x": "float64"}, set())
    assert made["x"].to_pylist() == [n / 100 for n in range(10_000)], "the nearest float, none of its neighbours"


def test_neighbours_beside_a_null_are_two_keys(make_dataset: Make) -> None:
    at = pa.array([1, 2, 3], pa.timestamp("us", "UTC"))
    for values, repeated in (([2**53, 2**53 + 1, None], []), ([2**53 + 1, 2**53 + 1, None], [0, 1])):
        table = pa.table({"id": pa.array(values, pa.int64()), "at": at})
        found = {finding.result.key: finding.rows.tolist() for finding in check_rows(table, make_dataset(), ())}
        assert found.get("keys:unique", []) == repeated
