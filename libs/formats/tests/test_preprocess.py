"""The same specification gives the same numbers for one row and for many, or says which cell is wrong."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_formats.preprocess import KeySource, PreprocessError, Preprocessor

PARTS = ("hour", "minute", "weekday", "month", "day_of_year")


def clock(*zones: str | None) -> Preprocessor:
    specs = [
        {"op": part, "column": "t", "name": f"{part}{z}"} | ({"tz": z} if z else {}) for z in zones for part in PARTS
    ]
    return Preprocessor.from_spec(specs)


def test_each_op() -> None:
    preprocessor = Preprocessor.from_spec(
        [
            {"op": "numeric", "column": "x", "name": "distance"},
            {"op": "category", "column": "c", "vocabulary": ["AA", "UA"]},
            {"op": "category", "column": "engines", "vocabulary": [2, 4]},
            {"op": "hour", "column": "t"},
            {"op": "hour", "column": "t", "name": "local", "tz": "America/New_York"},
        ]
    )
    assert preprocessor.columns == ["distance", "c", "engines", "t_hour", "local"]
    columns: dict[str, list[Any]] = {
        "x": [1, None, 2.5],
        "c": ["UA", "ZZ", None],
        "engines": [4, 3, None],
        "t": ["2013-01-01T05:30:00Z", None, "2013-07-01T05:30:00+02:00"],
    }
    expected = [[1, 1, 1, 5, 0], [math.nan] * 5, [2.5, math.nan, math.nan, 3, 23]]
    np.testing.assert_array_equal(preprocessor.transform(columns, 3), expected)
    for row in range(3):
        one = preprocessor.transform({name: values[row : row + 1] for name, values in columns.items()}, 1)
        np.testing.assert_array_equal(one, expected[row : row + 1])
    assert Preprocessor.from_spec(preprocessor.to_spec()).operations == preprocessor.operations


def test_no_rows() -> None:
    assert clock("Europe/Paris").transform({"t": []}, 0).shape == (0, 5)


@given(
    st.lists(
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda d: d.replace(tzinfo=UTC)),
        min_size=2,
        max_size=20,
    ),
    st.sampled_from(["America/New_York", "Africa/Monrovia", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_parts_of_time_agree_with_datetime(moments: list[datetime], zone: str) -> None:
    us = [(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for moment in moments]
    preprocessor = clock(None, zone)
    expected = [[*parts_of(moment), *parts_of(moment.astimezone(ZoneInfo(zone)))] for moment in moments]
    stamps = np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[us]")
    for column in (us, np.array(us), [moment.isoformat() for moment in moments], moments, stamps):
        np.testing.assert_array_equal(preprocessor.transform({"t": column}, len(us)), expected)
        np.testing.assert_array_equal(preprocessor.transform({"t": column[:1]}, 1), expected[:1])


def parts_of(moment: datetime) -> list[int]:
    return [moment.hour, moment.minute, moment.weekday(), moment.month, moment.timetuple().tm_yday]


def test_the_hour_in_which_a_clock_changes() -> None:
    change = int(datetime(2013, 3, 31, 1, tzinfo=UTC).timestamp()) * 10**6
    monrovia = int(datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC).timestamp()) * 10**6
    rows = [change - 1, change, monrovia - 1, monrovia]
    hours = Preprocessor.from_spec(
        [
            {"op": "hour", "column": "t", "tz": "Europe/Paris", "name": "paris"},
            {"op": "minute", "column": "t", "tz": "Africa/Monrovia", "name": "monrovia"},
        ]
    ).transform({"t": rows}, 4)
    assert hours[:2, 0].tolist() == [1, 3]
    assert hours[2:, 1].tolist() == [59, 44]


@pytest.mark.parametrize("value", ["5", b"5", [1], math.inf, -math.inf, np.float32("inf"), 10**400])
@pytest.mark.parametrize("rows", [1, 3])
def test_bad_numbers_name_column_and_row(value: Any, rows: int) -> None:
    column = [None] * (rows - 1) + [value]
    with pytest.raises(PreprocessError, match=f"column 'x', row {rows - 1}") as caught:
        Preprocessor.from_spec([{"op": "numeric", "column": "x"}]).transform({"x": column}, rows)
    assert (caught.value.column, caught.value.row) == ("x", rows - 1)


@pytest.mark.parametrize("column", [np.array([1.0, np.inf]), np.array(["1", "2"])])
def test_bad_number_arrays(column: Any) -> None:
    with pytest.raises(PreprocessError, match="column 'x', row"):
        Preprocessor.from_spec([{"op": "numeric", "column": "x"}]).transform({"x": column}, 2)


@pytest.mark.parametrize(
    "column", [np.array([1, 2]), np.array([1, 2], dtype="u1"), [np.float32(1), np.int8(2)], (1, 2.0)]
)
def test_good_number_columns(column: Any) -> None:
    made = Preprocessor.from_spec([{"op": "numeric", "column": "x"}]).transform({"x": column}, 2)
    assert made.dtype == np.float64
    assert made.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    "column",
    [np.array([True, False]), [True, False], [np.bool_(True), np.bool_(False)], np.array([True, False], object)],
)
def test_a_column_of_bools_is_one_of_zeros_and_ones(column: Any) -> None:
    numeric = Preprocessor.from_spec([{"op": "numeric", "column": "x"}])
    assert numeric.transform({"x": column}, 2).tolist() == [[1.0], [0.0]]
    assert [numeric.transform({"x": [cell]}, 1).tolist() for cell in column] == [[[1.0]], [[0.0]]]
    np.testing.assert_array_equal(numeric.transform({"x": [None, True, math.nan]}, 3), [[math.nan], [1.0], [math.nan]])


@pytest.mark.parametrize("column", [[1.0, True], [None, 5, np.bool_(True)], [True, 0], [False, math.nan, 2]])
def test_bools_among_numbers_are_a_mistake(column: list[Any]) -> None:
    with pytest.raises(PreprocessError, match="column 'x', row .*: a number is needed, not bool: the column has both"):
        Preprocessor.from_spec([{"op": "numeric", "column": "x"}]).transform({"x": column}, len(column))


@pytest.mark.parametrize("value", [5, 1.5, True, b"AA", ["AA"]])
@pytest.mark.parametrize("rows", [1, 2])
def test_bad_words(value: Any, rows: int) -> None:
    preprocessor = Preprocessor.from_spec([{"op": "category", "column": "c", "vocabulary": ["AA"]}])
    with pytest.raises(PreprocessError, match=f"column 'c', row {rows - 1}: a string is needed"):
        preprocessor.transform({"c": ["AA"] * (rows - 1) + [value]}, rows)


def test_a_bool_is_no_integer_word() -> None:
    preprocessor = Preprocessor.from_spec([{"op": "category", "column": "c", "vocabulary": [0, 1]}])
    with pytest.raises(PreprocessError, match="an integer is needed, not bool"):
        preprocessor.transform({"c": [True]}, 1)
    made = preprocessor.transform({"c": [math.nan, np.int64(1), 0]}, 3)
    np.testing.assert_array_equal(made, [[math.nan], [1], [0]])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2013-01-01T05:30:00", "without an offset"),
        ("yesterday", "not an ISO-8601"),
        (1.5, "not float"),
        (True, "not bool"),
        (2**62, "out of range"),
        (-(2**63), "out of range"),
        ("0001-01-01T00:00:00Z", "out of range"),
        (datetime(2013, 1, 1), "without an offset"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2])
def test_bad_timestamps(value: Any, says: str, rows: int) -> None:
    with pytest.raises(PreprocessError, match=f"column 't', row {rows - 1}: .*{says}"):
        clock("Europe/Paris").transform({"t": [0] * (rows - 1) + [value]}, rows)


def test_bad_timestamp_array_and_nat() -> None:
    with pytest.raises(PreprocessError, match="row 1: timestamp out of range"):
        clock(None).transform({"t": np.array([0, 2**62])}, 2)
    made = clock("Europe/Paris").transform({"t": np.array(["NaT", "2013-01-01"], dtype="datetime64[ns]")}, 2)
    assert np.isnan(made[0]).all()
    assert made[1].tolist() == [1, 0, 1, 1, 1]
    assert np.isnan(clock(None).transform({"t": [np.datetime64("NaT", "us")]}, 1)).all()


def test_missing_and_short_columns() -> None:
    preprocessor = Preprocessor.from_spec([{"op": "numeric", "column": "x"}])
    with pytest.raises(PreprocessError, match="column 'x': the column is missing"):
        preprocessor.transform({}, 1)
    with pytest.raises(PreprocessError, match="2 values for 1 rows"):
        preprocessor.transform({"x": [1, 2]}, 1)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("numeric", "must be a list"),
        (["numeric"], "an object is needed"),
        ([{"op": "exec", "column": "x"}], "unknown op 'exec'"),
        ([{"op": ["hour"], "column": "x"}], "unknown op"),
        ([{"op": "numeric"}], "column must be a name"),
        ([{"op": "numeric", "column": "x", "name": ""}], "name must be"),
        ([{"op": "numeric", "column": "x", "fill": 0}], "takes no 'fill'"),
        ([{"op": "numeric", "column": "x", "tz": "UTC"}], "takes no 'tz'"),
        ([{"op": "numeric", "column": "x"}] * 2, "'x' is made twice"),
        ([{"op": "category", "column": "x"}], "needs a vocabulary"),
        ([{"op": "category", "column": "x", "vocabulary": "AA"}], "needs a vocabulary"),
        ([{"op": "category", "column": "x", "vocabulary": ["a", 1]}], "all strings or all integers"),
        ([{"op": "category", "column": "x", "vocabulary": [True]}], "all strings or all integers"),
        ([{"op": "category", "column": "x", "vocabulary": ["a", "a"]}], "repeats a word"),
        ([{"op": "hour", "column": "x", "tz": "Mars/Olympus"}], "unknown time zone"),
        ([{"op": "hour", "column": "x", "tz": "../etc/passwd"}], "unknown time zone"),
        ([{"op": "hour", "column": "x", "tz": 5}], "unknown time zone"),
    ],
)
def test_bad_specifications(spec: Any, says: str) -> None:
    with pytest.raises(PreprocessError, match=says):
        Preprocessor.from_spec(spec)


def test_keys() -> None:
    columns: dict[str, Any] = {"origin": np.array(["JFK", "LGA"]), "t": ["2013-01-01T05:30:00Z", None]}
    assert KeySource.from_spec("origin").derive(columns) == ["JFK", "LGA"]
    hour = KeySource.from_spec({"op": "floor_hour", "column": "t"})
    assert hour.derive(columns) == [int(datetime(2013, 1, 1, 5, tzinfo=UTC).timestamp()) * 10**6, None]
    assert KeySource.from_spec(hour.to_spec()) == hour
    assert hour.derive({"t": [-1]}) == [-3_600_000_000]
    with pytest.raises(PreprocessError, match="column 't', row 0"):
        hour.derive({"t": ["soon"]})
    with pytest.raises(PreprocessError, match="the column is missing"):
        hour.derive({})


@pytest.mark.parametrize("spec", ["", None, 5, {"op": "floor_hour"}, {"op": "floor_day", "column": "t"}])
def test_bad_keys(spec: Any) -> None:
    with pytest.raises(PreprocessError):
        KeySource.from_spec(spec)


def test_one_row_is_fast() -> None:
    """20 operations took 12 us when this was written; the bound leaves room for a busy machine."""
    specs: list[dict[str, Any]] = [{"op": "numeric", "column": f"n{i}"} for i in range(12)]
    specs += [{"op": "category", "column": f"c{i}", "vocabulary": ["a", "b"]} for i in range(3)]
    specs += [{"op": part, "column": "t", "tz": "America/New_York"} for part in PARTS]
    preprocessor = Preprocessor.from_spec(specs)
    row: dict[str, Any] = {f"n{i}": [1.5] for i in range(12)} | {f"c{i}": ["b"] for i in range(3)} | {"t": [10**15]}
    best = math.inf
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(100):
            preprocessor.transform(row, 1)
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 60e-6
