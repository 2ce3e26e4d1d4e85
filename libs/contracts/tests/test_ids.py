"""Ids keep their promises: order by time, one spelling, names that are DNS labels."""

import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from capstan_contracts.ids import UUID_PATTERN, Kind, Name, Urn, uuid7, uuid7_instant, uuid7_millis


def test_uuid7_carries_its_time_and_sorts_by_it() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [uuid7(start + timedelta(milliseconds=step)) for step in range(50)]
    assert ids == sorted(ids)
    assert uuid7_instant(ids[7]) == start + timedelta(milliseconds=7)
    assert len(set(uuid7(start) for _ in range(1000))) == 1000
    assert ids[0][14] == "7" and ids[0][19] in "89ab"


def test_urn_reads_what_it_writes() -> None:
    for text in ("capstan:default:dataset/flights@3f9a1c0b2d4e", "capstan:team-a:loop/flight-delay"):
        assert str(Urn.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "capstan:default:dataset", "capstan:a:b:dataset/x", "capstan:p:planet/x", "urn:x"]
)
def test_a_broken_urn_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Urn.parse(text)


def test_a_uuid7_reaches_further_than_a_datetime() -> None:
    last = "ffffffff-ffff-7000-8000-000000000000"
    assert uuid7_millis(last) == (1 << 48) - 1
    with pytest.raises(ValueError, match="after the year 9999"):
        uuid7_instant(last)


MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31, 23), timezones=st.just(UTC))


@given(MOMENTS, st.integers(0, 999))
def test_a_uuid7_keeps_its_moment_to_the_millisecond(moment: datetime, micros: int) -> None:
    exact = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    made = uuid7(exact + timedelta(microseconds=micros))
    assert uuid7_instant(made) == exact and re.fullmatch(UUID_PATTERN, made)


@given(MOMENTS, MOMENTS)
def test_uuid7s_sort_as_their_moments(one: datetime, two: datetime) -> None:
    first, second = uuid7(one), uuid7(two)
    assert one - two < timedelta(milliseconds=1) or first > second


PIECES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(PIECES, st.sampled_from(get_args(Kind)), PIECES, st.none() | st.from_regex(r"[0-9a-f]{12}", fullmatch=True))
def test_any_urn_is_read_as_what_was_written(project: str, kind: Kind, name: str, version: str | None) -> None:
    urn = Urn(project, kind, name, version)
    assert Urn.parse(str(urn)) == urn


@given(st.text(st.sampled_from("capstn:deful/@runmo-1 \n"), max_size=40).map(lambda rest: f"capstan:{rest}"))
def test_what_is_read_as_a_urn_is_written_back_and_all_else_is_refused(text: str) -> None:
    try:
        urn = Urn.parse(text)
    except ValueError as error:
        assert repr(text) in str(error)
    else:
        assert str(urn) == text


@pytest.mark.parametrize("name", ["a" * 63, "a", "0", "a-b", "a--b"])
@pytest.mark.parametrize("wrong", ["A", "-{}", "{}-", "{}.b", "{}_b", "{}\n", "ä{}", "", "{}" + "a" * 63])
def test_a_name_is_a_dns_label(name: str, wrong: str) -> None:
    names: TypeAdapter[str] = TypeAdapter(Name)
    assert names.validate_python(name) == name
    with pytest.raises(ValidationError):
        names.validate_python(wrong.format(name))
