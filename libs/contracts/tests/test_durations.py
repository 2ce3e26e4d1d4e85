"""A duration is written so that it is the same when it is read again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from capstan_contracts.durations import Duration

ADAPTER: TypeAdapter[timedelta] = TypeAdapter(Duration)


@given(st.timedeltas(min_value=timedelta()))
def test_every_duration_comes_back(duration: timedelta) -> None:
    assert ADAPTER.validate_python(ADAPTER.dump_python(duration, mode="json")) == duration


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("90s", "90s"), ("60s", "1m"), ("3h", "3h"), ("30d", "30d"), ("24h", "1d"), ("0s", "0s"),
        ("1000001s", "1000001s"),
        ("1234567s", "1234567s"), ("100000.5s", "100000.5s"), ("0.000001s", "0.000001s"), ("1.50h", "90m"),
        ("999999999d", "999999999d"), ("0.1s", "0.1s"),
    ],
)  # fmt: skip
def test_it_is_written_in_the_largest_unit_that_fits(text: str, written: str) -> None:
    assert ADAPTER.dump_python(ADAPTER.validate_python(text), mode="json") == written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1e6s", "write 90s"), ("5", "write 90s"), ("-1s", "write 90s"), ("0.0000001s", "smallest part"),
        ("1000000000d", "at most"), ("9" * 400 + "s", "at most"),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ADAPTER.validate_python(text)
