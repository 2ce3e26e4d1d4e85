"""Ids keep their promises: order by time, one spelling, names that are DNS labels."""

from datetime import UTC, datetime, timedelta

import pytest

from capstan_contracts.ids import Urn, uuid7, uuid7_instant, uuid7_millis


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
