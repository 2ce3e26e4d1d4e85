"""Packed rows come back as they were, and keys never collide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_formats.online import OnlineCodecError, OnlineColumn, RowCodec, encode_key

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CELLS: dict[str, Any] = {
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "int64": INT64,
    "timestamp": INT64,
    "bool": st.booleans(),
    "string": TEXT,
}
DTYPES = st.lists(st.sampled_from(sorted(CELLS)), max_size=20)


@given(st.data(), DTYPES, INT64, INT64)
def test_round_trip(data: Any, dtypes: list[Any], one: int, other: int) -> None:
    codec = RowCodec([OnlineColumn(f"c{index}", dtype) for index, dtype in enumerate(dtypes)])
    cells = [data.draw(st.none() | CELLS[dtype]) for dtype in dtypes]
    event_ts, known_ts, values = codec.unpack(codec.pack(min(one, other), max(one, other), cells))
    assert (event_ts, known_ts) == (min(one, other), max(one, other))
    assert values == {f"c{index}": value for index, value in enumerate(cells)}
    assert [type(values[f"c{index}"]) for index in range(len(cells))] == [type(value) for value in cells]


PARTS = st.lists(st.one_of(TEXT, INT64, st.booleans()), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_keys_are_unambiguous(left: list[Any], right: list[Any]) -> None:
    typed = [[(type(part), part) for part in key] for key in (left, right)]
    assert (encode_key(left) == encode_key(right)) == (typed[0] == typed[1])


def test_keys_that_look_alike() -> None:
    keys = [("ab", "c"), ("a", "bc"), ("abc",), ("1",), (1,), (True,), ("", ""), ("",), (0, 1), (1, 0)]
    assert len({encode_key(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("part", [None, 1.5, b"x", 2**63, np.int64(5), ("a",), "\ud800"])
def test_bad_key_parts(part: Any) -> None:
    with pytest.raises(OnlineCodecError):
        encode_key(("a", part))


def test_a_key_without_parts() -> None:
    with pytest.raises(OnlineCodecError, match="at least one"):
        encode_key(())


@pytest.mark.parametrize(
    ("dtype", "value", "says"),
    [
        ("float64", "1", "a number is needed, not str"),
        ("float64", True, "a number is needed, not bool"),
        ("float64", math.inf, "infinity"),
        ("float64", 10**400, "infinity"),
        ("int64", 1.0, "64-bit integer"),
        ("int64", 2**63, "64-bit integer"),
        ("int64", True, "64-bit integer"),
        ("timestamp", "2013-01-01", "64-bit integer"),
        ("bool", 1, "a bool is needed"),
        ("string", 5, "a string is needed"),
        ("string", "\ud800", "not valid Unicode"),
        ("string", "x" * (1024 * 1024 + 1), "at most"),
    ],
)
def test_values_that_do_not_fit(dtype: Any, value: Any, says: str) -> None:
    with pytest.raises(OnlineCodecError, match=f"column 'c': .*{says}"):
        RowCodec([OnlineColumn("c", dtype)]).pack(0, 0, [value])


def test_nan_is_null_and_integers_are_numbers() -> None:
    codec = RowCodec([OnlineColumn("a", "float64"), OnlineColumn("b", "float64")])
    assert codec.unpack(codec.pack(0, 0, [math.nan, 3]))[2] == {"a": None, "b": 3.0}


def test_bad_rows() -> None:
    codec = RowCodec([OnlineColumn("a", "float64")])
    with pytest.raises(OnlineCodecError, match="2 values for 1 columns"):
        codec.pack(0, 0, [1.0, 2.0])
    wrong: list[Any] = [2**63, 1.5, None, True]
    for time in wrong:
        for times in ((time, 0), (0, time)):
            with pytest.raises(OnlineCodecError, match="epoch microseconds"):
                codec.pack(times[0], times[1], [1.0])
    with pytest.raises(OnlineCodecError, match="not known before its event time"):
        codec.pack(1, 0, [1.0])


def test_damaged_bytes() -> None:
    codec = RowCodec([OnlineColumn("a", "float64"), OnlineColumn("s", "string")])
    data = codec.pack(1, 2, [1.0, "é"])
    for cut in range(len(data)):
        with pytest.raises(OnlineCodecError):
            codec.unpack(data[:cut])
    for bad in (data + b"x", data[:-1] + b"\xff"):
        with pytest.raises(OnlineCodecError):
            codec.unpack(bad)
