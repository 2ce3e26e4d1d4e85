"""A file is read as the schema of its dataset, and what may have been misread is told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Make = Callable[..., Any]
AT = datetime(2013, 1, 1, tzinfo=UTC)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


EARLIER = {"id": "int64", "at": "timestamp"}


@pytest.mark.parametrize(
    ("schema", "content", "form", "values"),
    [
        ("float64", b"id,at,x\n1,2013-01-01,7\n", "csv", [7.0]),
        ("decimal(18,2)", b"id,at,x\n1,2013-01-01,7\n", "csv", [Decimal("7.00")]),
        ("string", b"id,at,x\n1,2013-01-01,007\n", "csv", ["007"]),
        ("bool", b"id,at,x\n1,2013-01-01,0\n2,2013-01-01,1\n", "csv", [False, True]),
        ("int64", b"id,at,x\n1,2013-01-01,true\n2,2013-01-01,false\n", "csv", [1, 0]),
        ("timestamp", b"id,at,x\n1,2013-01-01,2013-02-03\n", "csv", [datetime(2013, 2, 3, tzinfo=UTC)]),
        ("bool", lines({"id": 1, "at": "2013-01-01", "x": 1}), "jsonlines", [True]),
        ("int64", lines({"id": 1, "at": "2013-01-01", "x": True}), "jsonlines", [1]),
        ("float64", lines({"id": 1, "at": "2013-01-01", "x": True}), "jsonlines", [1.0]),
        ("string", parquet(id=[1], at=[AT], x=[7]), "parquet", ["7"]),
        ("string", parquet(id=[1, 2], at=[AT, AT], x=[7.0, None]), "parquet", ["7", None]),
        ("bool", parquet(id=[1, 2], at=[AT, AT], x=[1.0, None]), "parquet", [True, None]),
        ("decimal(18,2)", parquet(id=[1], at=[AT], x=[True]), "parquet", [Decimal("1.00")]),
        ("timestamp", parquet(id=[1], at=[AT], x=pa.array([15706], pa.date32())), "parquet", [AT]),
    ],
)
def test_a_file_is_read_as_the_schema(arrive: Make, schema: str, content: bytes, form: str, values: list[Any]) -> None:
    made = arrive(content, form, earlier={**EARLIER, "x": schema})
    assert made.outcome.columns["x"] == schema, made.sentences
    assert made.seen["x"].to_pylist() == values


@pytest.mark.parametrize(
    ("schema", "value", "sentence"),
    [
        ("bool", 2, "2 is no truth value; 0 and 1 are"),
        ("string", AT, "is timestamp, but the dataset's other files have string"),
        ("int64", 1.5, "cannot be held as int64"),
        ("date", AT, "is timestamp, but the dataset's other files have date"),
    ],
)
def test_what_the_schema_does_not_hold_is_said(arrive: Make, schema: str, value: object, sentence: str) -> None:
    made = arrive(parquet(id=[1], at=[AT], x=[value]), earlier={**EARLIER, "x": schema})
    assert sentence in made.sentences["wrong-type:x"]


def test_decimals_for_integers_say_how_the_schema_widens(arrive: Make) -> None:
    content = b"id,at,x\n1,2013-01-01,1.5\n"
    made = arrive(content, "csv", earlier={**EARLIER, "x": "int64"})
    assert "declare float64 or a decimal for the column under `columns`" in made.sentences["wrong-type:x"]
    widened = arrive(content, "csv", earlier={**EARLIER, "x": "int64"}, columns={"x": "float64"})
    assert widened.outcome.columns["x"] == "float64" and widened.seen["x"].to_pylist() == [1.5]


def test_a_new_column_and_a_missing_one_are_told_and_cost_no_batch(arrive: Make) -> None:
    earlier = {**EARLIER, "gone": "float64"}
    made = arrive(parquet(new=["a"], id=[1], at=[AT]), earlier=earlier)
    assert made.outcome.verdict.passed, made.sentences
    assert made.outcome.columns == {**earlier, "new": "string"}
    assert made.seen["gone"].to_pylist() == [None]
    severities = {check.key: check.severity for check in made.outcome.verdict.checks}
    assert severities == {"gone:missing-column": "warning", "new:new-column": "warning"}
    assert "its rows have null there" in made.sentences["gone:missing-column"]
    needed = arrive(parquet(id=[1], at=[AT]), earlier=earlier, columns={"gone": "float64"})
    assert "the dataset (it is declared) needs it" in needed.sentences["missing-columns:gone"]
    read = arrive(parquet(id=[1], at=[AT]), earlier=earlier, needed=["gone"])
    assert read.sentences == {"missing-columns:gone": "gone: there is no such column, and a loop needs it"}


def doubted(made: Any) -> dict[str, str]:
    kinds = ("looks-like", "null-markers")
    return {key: sentence for key, sentence in made.sentences.items() if key.endswith(kinds)}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["12.5%", "3 %", "100%"], "looks like numbers with a percent sign ('12.5%') and is stored as text"),
        (["CHF 3.00", "CHF 12.50", "1"], "looks like amounts with a currency ('CHF 3.00')"),
        (["USD1,200.50", "EUR1.00"], "looks like amounts with a currency ('USD1,200.50')"),
        (["5 EUR", "MAD 100"], "looks like amounts with a currency ('5 EUR')"),
        (["€3", "$4", "5 EUR"], "looks like amounts with a currency"),
        (["1.234,50", "7,25"], "set `decimal: \",\", thousands: \".\"`"),
        (["1 234", "12 345 678", "9"], "set `thousands: \" \"`"),
        (["1'234.50", "2'000.00"], "set `thousands: \"'\"`"),
        (["31.01.2013", "28.02.2013"], "looks like times ('31.01.2013') and is stored as text: set `timeFormat: '%d"),
        ([*(str(n) for n in range(30)), "n.a."], "looks like numbers but for 'n.a.'"),
    ],
)  # fmt: skip
def test_what_may_be_misread_is_a_warning_that_says_what_to_set(arrive: Make, values: list[str], says: str) -> None:
    rows = {"id": list(range(len(values))), "at": [AT] * len(values), "x": values}
    made = arrive(parquet(**rows))
    assert made.outcome.verdict.passed and says in made.sentences["x:looks-like"], made.sentences
    assert [check.severity for check in made.outcome.verdict.checks] == ["warning"]
    assert doubted(arrive(parquet(**rows), columns={"x": "string"})) == {}, "declared"
    held = {"id": "int64", "at": "timestamp", "x": "string"}
    assert doubted(arrive(parquet(**rows), earlier=held)) == {}, "the dataset has it as text already"


@pytest.mark.parametrize(
    "values",
    [
        ["UAL123", "DLH400"], ["UAL 123", "DLH 400", "BAW 9"], ["JFK 12", "LGA 7"], ["123 EWR", "4LGA"], ["MAD123"],
        ["UAL1,234", "DLH4.00"], ["ALL100", "SEK12"], ["A$1 x"],
        ["01234", "98765"], ["JFK", "LGA"], ["a 1", "b 2", "3"], ["N14228", "N24211"], ["", " "], ["1%", "red", "blue"],
    ],
)  # fmt: skip
def test_text_is_text(arrive: Make, values: list[str]) -> None:
    rows = {"id": list(range(len(values))), "at": [AT] * len(values), "x": values}
    assert doubted(arrive(parquet(**rows))) == {}


def test_whole_numbers_in_floats_are_doubted(arrive: Make) -> None:
    made = arrive(parquet(id=[1, 2], at=[AT, AT], ean=[4006381333931.0, None], price=[100.0, 250.0]))
    assert list(doubted(made)) == ["ean:looks-like"]
    assert "looks like whole numbers (4006381333931)" in made.sentences["ean:looks-like"]


def test_leading_zeros_are_told_before_they_are_lost(arrive: Make) -> None:
    content = b"id,at,zip,n\n1,2013-01-01,01234,0\n2,2013-01-01,98765,10\n"
    made = arrive(content, "csv")
    assert made.seen["zip"].to_pylist() == [1234, 98765]
    assert list(doubted(made)) == ["zip:looks-like"] and "('01234')" in made.sentences["zip:looks-like"]
    assert arrive(content, "csv", columns={"zip": "string"}).seen["zip"].to_pylist() == ["01234", "98765"]


def test_a_period_of_pandas_and_a_duration_are_doubted(arrive: Make) -> None:
    period = pa.field("p", pa.int64(), metadata={"ARROW:extension:name": "pandas.period"})
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC")), period, ("d", pa.duration("s"))])
    sink = io.BytesIO()
    pq.write_table(pa.table([[1], [AT], [516], [60]], schema=schema), sink)
    told = doubted(arrive(sink.getvalue()))
    assert "period of pandas" in told["p:looks-like"] and "microseconds" in told["d:looks-like"]


def test_uuids_and_json_are_text(arrive: Make) -> None:
    text = "6f1c2d3e-0000-4000-8000-00000000000a"
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID(text).bytes], pa.binary(16)))
    document = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}']))
    made = arrive(parquet(id=ids, at=[AT], j=document))
    assert made.seen.select(["id", "j"]).to_pylist() == [{"id": text, "j": '{"a": 1}'}]


def test_markers_of_null_are_read_as_such_and_reported(arrive: Make) -> None:
    content = b'id,at,x,y\n1,2013-01-01,#N/A,N/A\n2,2013-01-01,2.5,None\n3,2013-01-01,,"NA"\n4,2013-01-01,NA,NA\n'
    made = arrive(content, "csv")
    assert made.seen["x"].to_pylist() == [None, 2.5, None, None]
    assert made.seen["y"].to_pylist() == [None, None, "NA", None], "a quoted text is one"
    assert made.sentences["x:null-markers"] == (
        "x: 1 '#N/A' and 1 'NA' were read as null; `nulls` under `media` says which texts are"
    )
    assert {check.severity for check in made.outcome.verdict.checks} == {"info"}
    own = arrive(content, "csv", media={"kind": "csv", "nulls": ["-"]})
    assert own.seen["y"].to_pylist() == ["N/A", "None", "NA", "NA"] and doubted(own) == {}
    objects = lines(*({"id": n, "at": "2013-01-01", "x": x} for n, x in enumerate(["-", "a", "-"])))
    told = doubted(arrive(objects, "jsonlines", media={"kind": "jsonlines", "nulls": ["-"]}))
    assert told == {"x:null-markers": "x: 2 '-' were read as null; `nulls` under `media` says which texts are"}


def test_the_value_that_is_neither_number_nor_truth_value_is_named(arrive: Make) -> None:
    content = b"id,at,x\n1,2013-01-01,1\n2,2013-01-01,2\n3,2013-01-01,true\n"
    made = arrive(content, "csv", earlier={**EARLIER, "x": "int64"})
    assert made.sentences["wrong-type:x"].startswith("x: row 3 has 'true', which is no int64"), made.sentences


@pytest.mark.parametrize("word", ["true", "FALSE"])
def test_truth_values_in_two_columns_of_numbers_are_read(arrive: Make, word: str) -> None:
    content = f"id,at,x,y\n1,2013-01-01,{word},0\n2,2013-01-01,0,{word}\n".encode()
    made = arrive(content, "csv", earlier={**EARLIER, "x": "int64", "y": "float64"})
    value = int(word == "true")
    assert (made.seen["x"].to_pylist(), made.seen["y"].to_pylist()) == ([value, 0], [0.0, float(value)])
