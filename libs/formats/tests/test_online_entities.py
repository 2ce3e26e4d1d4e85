"""Of the rows of an entity one answers at each moment, and damaged bytes are an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_formats.online import (
    MISSING,
    UNKNOWN,
    EntityCodec,
    EntityRow,
    Lookup,
    OnlineCodecError,
    OnlineColumn,
    OnlineEntity,
    OnlineStoreError,
    Status,
    look_up,
)
from capstan_formats.online.entities import MAX_ENTITY

CODEC = EntityCodec([OnlineColumn("x", "int64"), OnlineColumn("word", "string")])


def rows(*moments: int, event: int | None = None) -> list[EntityRow]:
    """One row per moment, whose value is its number; true since then, or since `event`."""
    return [
        EntityRow(("k",), moment if event is None else event, moment, (number, "w" * number))
        for number, moment in enumerate(moments)
    ]


def entity(*moments: int, older: bool = False) -> OnlineEntity:
    return OnlineEntity(CODEC, CODEC.pack(rows(*moments), older=older))


MOMENT = st.integers(-50, 50)


@given(st.sets(MOMENT, min_size=1, max_size=12).map(sorted), MOMENT, st.booleans(), st.none() | st.integers(1, 20))
def test_the_last_row_known_by_then_answers(known: list[int], at: int, older: bool, ttl_s: int | None) -> None:
    second = 1_000_000
    moments = [one * second for one in known]
    found = look_up(entity(*moments, older=older), at * second, ttl_s)
    before = [number for number, one in enumerate(known) if one <= at]
    if not before:
        assert found == (UNKNOWN if older else MISSING)
    elif ttl_s is not None and at - known[before[-1]] > ttl_s:
        assert found == Lookup(Status.EXPIRED, moments[before[-1]], None)
    else:
        assert found == Lookup(Status.PRESENT, moments[before[-1]], {"x": before[-1], "word": "w" * before[-1]})


@pytest.mark.parametrize(
    ("event_ts", "event_time", "status"),
    [
        (0, 0, Status.PRESENT),
        (0, 10_000_000, Status.PRESENT),
        (0, 10_000_001, Status.EXPIRED),
        (1, 0, Status.MISSING),
    ],
)
def test_both_ends_of_the_ttl_count_and_the_future_is_not_there(event_ts: int, event_time: int, status: Status) -> None:
    found = look_up(entity(event_ts), event_time, 10)
    assert found.status is status
    assert found.values == ({"x": 0, "word": ""} if status is Status.PRESENT else None)
    assert found.event_ts == (None if status is Status.MISSING else event_ts)


def test_without_ttl_nothing_expires() -> None:
    assert look_up(entity(0), 10**18, None).status is Status.PRESENT
    assert look_up(None, 0, 10) == MISSING


def test_the_ttl_counts_from_the_event_and_not_from_when_it_was_known() -> None:
    late = OnlineEntity(CODEC, CODEC.pack(rows(9_000_000, event=0)))
    assert [look_up(late, at, 10).status.value for at in (8_999_999, 9_000_000, 10_000_000, 10_000_001)] == [
        "missing", "present", "present", "expired",
    ]  # fmt: skip


def test_one_row_takes_no_more_bytes_than_a_row_alone() -> None:
    """The usual view: lead byte, two times, null bitmap, the columns."""
    assert len(CODEC.pack(rows(5))) == 1 + 8 + 8 + 1 + 8 + 4


def test_order_and_number_of_rows() -> None:
    for wrong in ([], rows(5, 5), rows(6, 5)):
        with pytest.raises(OnlineCodecError, match="in the order of known_ts"):
            CODEC.pack(wrong)


def test_an_entity_without_end_is_refused() -> None:
    codec = EntityCodec([OnlineColumn("text", "string")])
    endless = [EntityRow(("k",), number, number, ("x" * 1_000_000,)) for number in range(70)]
    with pytest.raises(OnlineCodecError, match=f"the 70 rows of one entity take .* at most {MAX_ENTITY}"):
        codec.pack(endless)


@pytest.mark.parametrize("moments", [(5,), (5, 7), (5, 7, 9, 11)])
def test_damaged_bytes_are_an_error_that_says_so(moments: tuple[int, ...]) -> None:
    data = CODEC.pack(rows(*moments))
    for cut in range(len(data)):
        with pytest.raises(OnlineStoreError, match="damaged"):
            look_up(OnlineEntity(CODEC, data[:cut]), 99, None)
    for lead in range(4, 256):
        with pytest.raises(OnlineStoreError, match="damaged"):
            look_up(OnlineEntity(CODEC, bytes([lead]) + data[1:]), 99, None)


@given(st.binary(max_size=80))
def test_foreign_bytes_never_crash(data: bytes) -> None:
    try:
        look_up(OnlineEntity(CODEC, data), 0, None)
    except OnlineStoreError:
        return
