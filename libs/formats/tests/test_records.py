"""The columnar record: what goes in comes out, byte for byte the same, and damage is a sentence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan_formats.id_range import IdRange, IdRangeError, id_number, id_text
from capstan_formats.record_columns import RecordError
from capstan_formats.record_schema import RecordSchema
from capstan_formats.records import PredictionRecord, decode_head, decode_record, encode_record

FIRST = id_number("0190aaaa-bbbb-7ccc-8ddd-eeee12345678")
SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1
CELLS: list[st.SearchStrategy[Any]] = [
    st.floats(),
    st.integers(SMALLEST, LARGEST),
    st.integers(),
    st.booleans(),
    st.text(max_size=20),
    st.none(),
]


def schema(*names: str, **members: Any) -> RecordSchema:
    about: dict[str, Any] = {"model": "m", "version": 3, "package": "ab" * 32, "deployment": "d", "revision": 2}
    return RecordSchema(**about | members, columns=tuple(("inputs", name) for name in names))


def there_and_back(columns: dict[str, Any], rows: int) -> PredictionRecord:
    times = list(range(1, rows + 1))
    payload = encode_record(schema(*columns), IdRange(FIRST, rows), 7, times, list(columns.values()))
    return decode_record(payload)


def same(left: Any, right: Any) -> bool:
    """Equal and of one type; NaN is NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, dict[str, list[Any]]]:
    """Rows, and columns of one kind each, with nulls or without, or of several kinds at once."""
    rows = draw(st.integers(1, 40))
    columns = {}
    for name in draw(st.lists(st.text(min_size=1, max_size=10), unique=True, max_size=6)):
        kinds = draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=2))
        columns[name] = draw(st.lists(st.one_of(kinds), min_size=rows, max_size=rows))
    return rows, columns


@given(tables())
@settings(max_examples=150, deadline=None)
def test_columns_come_back_as_they_went_in(table: tuple[int, dict[str, list[Any]]]) -> None:
    rows, columns = table
    record = there_and_back(columns, rows)
    found = {name: column.tolist() for name, column in record.section("inputs").items()}
    assert found.keys() == columns.keys()
    for name, cells in columns.items():
        assert all(map(same, cells, found[name])), (cells, found[name])
        # By row as by column.
        assert all(same(cell, record.row(row)["inputs"][name]) for row, cell in enumerate(cells))


@pytest.mark.parametrize("rows", [1, 2, 255, 256, 5000])
def test_any_number_of_rows_and_several_outputs(rows: int) -> None:
    random = np.random.default_rng(rows)
    probabilities, words = random.random((rows, 3)), random.choice(["cat", "", "ünï"], rows)
    outputs = {"prediction": words, "probabilities": probabilities, "rank": np.arange(rows)}
    columns = (*(("outputs", name) for name in outputs), ("features",))
    about = RecordSchema("m", 1, "0" * 64, "d", 1, columns, features=("a", "b"))
    matrix = np.array([[1.5, np.nan]] * rows)
    ids = IdRange(FIRST, rows)
    record = decode_record(encode_record(about, ids, 7, range(rows), [*outputs.values(), matrix]))
    assert record.section("outputs")["probabilities"].tolist() == probabilities.tolist()
    last = record.row(rows - 1)
    assert last["outputs"] == {
        "prediction": str(words[-1]), "probabilities": probabilities[-1].tolist(), "rank": rows - 1,
    }  # fmt: skip
    assert last["features"] == {"a": 1.5, "b": None}
    assert (last["event_time"], last["prediction_id"]) == (rows - 1, ids.texts()[-1])
    assert len(list(record.all_rows())) == rows


def test_a_nan_is_null_in_an_array_and_a_value_in_a_list() -> None:
    record = there_and_back({"array": np.array([1.0, np.nan]), "list": [1.0, math.nan], "hole": [1.0, None]}, 2)
    found = record.section("inputs")
    assert found["array"].tolist() == [1.0, None]
    assert math.isnan(found["list"].tolist()[1])
    assert found["hole"].tolist() == [1.0, None]
    for name in found:
        numbers = found[name].numbers()
        assert numbers is not None and numbers[0] == 1.0 and math.isnan(numbers[1])


def test_a_row_has_its_lookups_and_its_keys() -> None:
    columns = (
        ("inputs", "origin"),
        ("looked_up", "weather__temp"),
        ("feature_times", "weather"),
        ("feature_status", "weather"),
        ("lookup_keys", "weather", "origin"),
        ("lookup_keys", "weather", "time"),
    )
    about = RecordSchema("m", 1, "0" * 64, "d", 1, columns, entity=("origin",), view_versions={"weather": "ab"})
    values: list[list[Any]] = [["JFK"], [38.5], [None], ["missing"], ["JFK"], ["2013-01-01T12:00:00+00:00"]]
    record = decode_record(encode_record(about, IdRange(FIRST, 1), 7, [5], values))
    assert record.schema == about and record.head.answered_at == 7
    assert record.row(0) == {
        "prediction_id": id_text(FIRST),
        "event_time": 5,
        "entity": {"origin": "JFK"},
        "inputs": {"origin": "JFK"},
        "features": {},
        "feature_times": {"weather": None},
        "feature_status": {"weather": "missing"},
        "lookup_keys": {"weather": {"origin": "JFK", "time": "2013-01-01T12:00:00+00:00"}},
        "looked_up": {"weather__temp": 38.5},
        "outputs": {},
    }


def test_the_bytes_are_these() -> None:
    """Whoever changes them changes the version of the segment."""
    about = RecordSchema("m", 1, "p", "d", 2, (("inputs", "a"), ("inputs", "s"), ("outputs", "prediction")))
    values: list[Any] = [[1, None], ["é", "x"], np.array([0.5, np.nan])]
    payload = encode_record(about, IdRange(FIRST, 2), 9, [3, 4], values)
    written = (
        b'{"model":"m","version":1,"package":"p","deployment":"d","revision":2,'
        b'"columns":[["inputs","a"],["inputs","s"],["outputs","prediction"]],'
        b'"features":[],"entity":[],"view_versions":{},"ext":{}}'
    )
    assert payload == (
        bytes.fromhex("0190aaaabbbb7ccc8dddeeee12345678020000000900000000000000")
        + len(written).to_bytes(4, "little")
        + bytes.fromhex("0300000003000000000000000400000000000000")
        + written
        + bytes.fromhex("820441")
        + bytes.fromhex("000101000000000000000000000000000000")
        + bytes.fromhex("030000000100000001000000c3a978")
        + bytes.fromhex("000000000000e03f000000000000f87f")
    )


def test_every_cut_and_every_flipped_byte_is_a_sentence_or_a_record() -> None:
    """A frame's checksum finds damage; what passes it by must not bring down a reader."""
    columns: dict[str, Any] = {
        "a": [1, None],
        "b": ["x", "yz"],
        "c": [True, None],
        "d": [1.5, "mixed"],
        "e": [None] * 2,
    }
    about = schema(*columns)
    payload = encode_record(about, IdRange(FIRST, 2), 7, [1, 2], list(columns.values()))
    for cut in range(len(payload)):
        with pytest.raises(RecordError):
            decode_record(payload[:cut])
    with pytest.raises(RecordError, match="1 bytes after the last column"):
        decode_record(payload + b"x")
    refused = 0
    for position in range(len(payload)):
        for flip in (0x01, 0x40, 0x80):
            try:
                list(
                    decode_record(
                        payload[:position] + bytes([payload[position] ^ flip]) + payload[position + 1 :]
                    ).all_rows()
                )
            except RecordError:
                refused += 1
    assert refused > len(payload)


def test_what_no_record_can_be_is_refused_when_it_is_written() -> None:
    with pytest.raises(RecordError, match="2 columns for a schema of 1"):
        encode_record(schema("a"), IdRange(FIRST, 1), 7, [1], [[1], [2]])
    with pytest.raises(RecordError, match="needs 2 values"):
        encode_record(schema("a"), IdRange(FIRST, 2), 7, [1, 2], [[1]])
    with pytest.raises(RecordError, match="one place twice"):
        decode_record(encode_record(schema("a", "a"), IdRange(FIRST, 1), 7, [1], [[1], [1]]))


@given(st.integers(0, (1 << 31) - 1), st.integers(1, 5000), st.integers(0, (1 << 48) - 1))
def test_ids_of_a_range_are_uuid7_of_one_millisecond_and_say_their_row(low: int, count: int, millis: int) -> None:
    ids = IdRange(millis << 80 | 7 << 76 | 2 << 62 | low, count)
    texts = ids.texts()
    assert len(set(texts)) == count
    for row in {0, count // 2, count - 1}:
        number = id_number(texts[row])
        assert texts[row] == ids.text(row) == id_text(number)
        assert (ids.row_of(number), number >> 80, ids.millis) == (row, millis, millis)
    assert ids.row_of(ids.first + count) is None and ids.row_of(ids.first - 1) is None
    assert decode_head(encode_record(schema(), ids, 0, [0] * count, [])).ids == ids


@pytest.mark.parametrize(
    ("first", "count"),
    [(FIRST & ~(7 << 76), 1), (FIRST | 1 << 62, 1), (1 << 128 | FIRST, 1), (FIRST, 0), (FIRST | 0xFFFFFFFF, 2)],
)
def test_what_is_no_range_of_ids(first: int, count: int) -> None:
    with pytest.raises(IdRangeError):
        IdRange(first, count)
