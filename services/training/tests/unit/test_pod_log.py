"""Following the log of a pod: every line once, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from capstan_training.adapters.pod_log import PodLog, Position, moment

LINES = [
    "2026-01-01T00:00:01.1Z a",
    "2026-01-01T00:00:01.100000001Z b",
    "2026-01-01T00:00:01.2Z c",
    "2026-01-01T00:00:01.2Z d",
    "2026-01-01T00:00:01.2Z e",
    "2026-01-01T00:00:02Z f",
]


class Kept:
    """An output that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.at: list[str] = []

    async def begins(self, at: str = "") -> None:
        raise AssertionError

    async def waits(self, reason: str) -> None:
        raise AssertionError

    async def line(self, text: str, at: str = "") -> None:
        self.lines.append(text)
        self.at.append(at)

    async def resume(self) -> tuple[str, int]:
        raise AssertionError


class Broken:
    """A log whose stream breaks after so many lines each time."""

    def __init__(self, *breaks: int) -> None:
        self.breaks, self.asked = list(breaks), list[str]()

    async def read(self, pod: str, since: str) -> AsyncIterator[str]:
        self.asked.append(since)
        told = [line for line in LINES if not since or moment(line.split(" ")[0])[0] >= since]
        limit = self.breaks.pop(0) if self.breaks else None
        for line in told[:limit]:
            yield line
        if limit is not None:
            raise httpx.ReadError("cut")


async def follow(log: Broken, position: Position, skip: int = 0) -> Kept:
    kept, over = Kept(), asyncio.Event()
    over.set()
    await PodLog(log.read, kept, position, skip).follow(over)
    return kept


@pytest.mark.parametrize("breaks", [(), (0,), (1, 2, 3), (4, 4), (6,)])
async def test_every_line_comes_once(breaks: tuple[int, ...]) -> None:
    log = Broken(*breaks)
    assert (await follow(log, Position("p"))).lines == list("abcdef")


@pytest.mark.parametrize("taken", range(7))
async def test_a_remembered_position_goes_on_after_it(taken: int) -> None:
    first = await follow(Broken(), Position("p"))
    position = Position.parse(first.at[taken - 1], "p") if taken else Position("p")
    assert (await follow(Broken(), position)).lines == list("abcdef")[taken:]


async def test_lines_that_were_taken_after_the_position_are_skipped() -> None:
    first = await follow(Broken(), Position("p"))
    assert (await follow(Broken(), Position.parse(first.at[1], "p"), 3)).lines == ["f"]


async def test_a_log_that_is_gone_is_given_up() -> None:
    kept = await follow(Broken(*[0] * 50), Position("p"))
    assert kept.lines == []


def test_positions_are_of_one_pod() -> None:
    position = Position("p", "2026-01-01T00:00:01.2Z", 2)
    assert Position.parse(str(position), "p") == position
    assert Position.parse(str(position), "q") == Position("q")
    assert Position.parse(str(Position("p")), "p") == Position("p")
    assert Position.parse("", "p") == Position("p")


def test_times_sort_with_and_without_trailing_zeros_and_zones() -> None:
    assert moment("2026-01-01T00:00:01.1Z") < moment("2026-01-01T00:00:01.100000001Z") < moment("2026-01-01T00:00:02Z")
    assert moment("2026-01-01T02:00:01.5+02:00") == moment("2026-01-01T00:00:01.500Z")
    assert moment("nonsense") == ("", "")
