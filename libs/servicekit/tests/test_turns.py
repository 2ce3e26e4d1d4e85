"""Turns of projects: fair, bounded, and none is lost when somebody gives up."""

from __future__ import annotations

import asyncio

import pytest

from capstan_servicekit.jobs.turns import Turns


class Bench:
    """Calls that run until they are told to end; `began` has them in the order in which they got their turn."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.began: list[str] = []
        self.over: dict[str, asyncio.Event] = {}
        self.calls: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """A call is named by its project and a number."""
        for name in names:
            self.over[name] = asyncio.Event()
            self.calls[name] = asyncio.create_task(self._call(name))
        await self.settle()

    async def end(self, name: str) -> None:
        self.over[name].set()
        await self.calls[name]
        await self.settle()

    @staticmethod
    async def settle() -> None:
        """Let everything go on that can."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def _call(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            self.began.append(name)
            await self.over[name].wait()


async def test_projects_in_turn_and_calls_of_one_in_their_order() -> None:
    bench = Bench(1)
    await bench.ask("a1", "a2", "a3", "b1", "b2", "c1")
    for name in ("a1", "b1", "c1", "a2", "b2", "a3"):
        assert bench.began[-1] == name
        await bench.end(name)


async def test_one_of_each_project_and_so_many_at_once() -> None:
    bench = Bench(2)
    await bench.ask("a1", "a2", "b1", "c1")
    assert bench.began == ["a1", "b1"]
    await bench.end("b1")
    assert bench.began == ["a1", "b1", "c1"]
    await bench.end("c1")
    assert bench.began == ["a1", "b1", "c1"], "a2 waits for a1, though there is room"
    await bench.end("a1")
    assert bench.began[-1] == "a2"


@pytest.mark.parametrize(
    ("gone", "left"), [("a1", ["b1", "a2", "b2"]), ("a2", ["a1", "b1", "b2"]), ("b1", ["a1", "b2", "a2"])]
)
async def test_a_call_that_is_cancelled_leaves_its_turn_to_the_next(gone: str, left: list[str]) -> None:
    bench = Bench(1)
    await bench.ask("a1", "a2", "b1", "b2")
    bench.calls[gone].cancel()
    await bench.settle()
    for name in left:
        assert bench.began[-1] == name
        await bench.end(name)


async def test_a_call_that_is_cancelled_in_the_moment_of_its_turn_leaves_it_too() -> None:
    bench = Bench(1)
    await bench.ask("a1", "b1", "c1")
    bench.over["a1"].set()
    await asyncio.sleep(0)  # b1 has its turn, and has not run yet
    bench.calls["b1"].cancel()
    await bench.settle()
    assert bench.began == ["a1", "c1"]
