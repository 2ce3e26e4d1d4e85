"""The conversation with the data plane: who gets which answer, and what becomes of the asking when it ends."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_inference.adapters import data_plane as module
from capstan_inference.adapters.data_plane import DataPlane, Patience
from capstan_servicekit.errors import CapstanError, InvalidData, NotReady, Upstream


class Pipe:
    """A process of which only the standard input is looked at."""

    def __init__(self) -> None:
        self.stdin, self.pid, self.returncode = self, 7, None
        self.said: list[dict[str, Any]] = []
        self.broken = False
        self.killed = asyncio.Event()

    def kill(self) -> None:
        self.killed.set()

    def write(self, line: bytes) -> None:
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        self.said.append(json.loads(line))

    async def drain(self) -> None:
        if self.broken:
            raise ConnectionResetError


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def plane(pipe: Pipe, tmp_path: Path) -> DataPlane:
    """A data plane whose process has said that it is ready."""

    async def configure() -> dict[str, Any]:
        raise NotImplementedError

    made = DataPlane(configure, tmp_path, lambda message: None, lambda: None)
    made._process = pipe  # type: ignore[assignment]
    made._hear({"ready": 7})
    return made


async def asking(plane: DataPlane, *commands: str) -> list[asyncio.Task[dict[str, Any]]]:
    """Asked, and not answered yet."""
    tasks = [asyncio.create_task(plane.ask({"do": command})) for command in commands]
    await asyncio.sleep(0)
    return tasks


async def test_each_gets_its_own_answer_in_whatever_order_they_come(plane: DataPlane, pipe: Pipe) -> None:
    first, second = await asking(plane, "one", "two")
    assert [one["do"] for one in pipe.said] == ["one", "two"]
    one, two = (message["id"] for message in pipe.said)
    plane._hear({"id": two, "ok": {"n": 2}})
    plane._hear({"id": 10**9, "ok": {"n": 3}})  # nobody's
    plane._hear({"id": one, "ok": {"n": 1}})
    plane._hear({"id": one, "ok": {"n": 4}})  # once more
    assert (await first, await second) == ({"n": 1}, {"n": 2})


@pytest.mark.parametrize(
    ("code", "error"), [("invalid-data", InvalidData), ("not-ready", NotReady), ("anything-else", Upstream)]
)
async def test_a_refusal_keeps_its_sentence(plane: DataPlane, pipe: Pipe, code: str, error: type[CapstanError]) -> None:
    (task,) = await asking(plane, "load")
    plane._hear({"id": pipe.said[0]["id"], "error": {"code": code, "detail": "the package has no model"}})
    with pytest.raises(error, match="the package has no model") as refused:
        await task
    assert type(refused.value) is error


async def test_whoever_gives_up_leaves_nothing_behind(plane: DataPlane, pipe: Pipe) -> None:
    with pytest.raises(NotReady, match="does not answer"):
        await plane.ask({"do": "hang"}, patience_s=0)
    (task,) = await asking(plane, "hang")
    task.cancel()
    await asyncio.wait([task])
    pipe.broken = True
    with pytest.raises(NotReady, match="does not answer"):
        await plane.ask({"do": "write"})
    assert plane._replies == {}


async def test_nothing_is_said_before_it_is_ready(plane: DataPlane, pipe: Pipe) -> None:
    plane._gone()
    (task,) = await asking(plane, "early")
    assert pipe.said == []
    plane._hear({"ready": 8})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    plane._hear({"id": pipe.said[0]["id"], "ok": {}})
    assert await task == {}


async def test_the_end_of_the_process_is_told_to_all_who_wait(plane: DataPlane, pipe: Pipe) -> None:
    tasks = await asking(plane, "one", "two")
    plane._gone()
    for task in tasks:
        with pytest.raises(NotReady, match="does not answer"):
            await task
    plane._hear({"id": pipe.said[0]["id"], "ok": {}})  # too late
    assert not plane.ready.is_set()


async def test_it_is_started_again_with_pauses_that_grow_and_begin_anew_after_a_steady_life(
    plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pauses, lives = [0.0], list[float](), [0.0] * 8 + [module.STEADY_S + 1, 0.0]

    class Loop:
        def time(self) -> float:
            return clock[0]

    async def life() -> int:
        if not lives:
            raise asyncio.CancelledError
        clock[0] += (length := lives.pop(0))
        if length == 0:
            raise FileNotFoundError("no interpreter")
        return 0

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    gone: list[None] = []
    plane._process, plane._on_gone = None, lambda: gone.append(None)
    monkeypatch.setattr(plane, "_one_life", life)
    monkeypatch.setattr("capstan_inference.adapters.data_plane.asyncio.sleep", pause)
    monkeypatch.setattr("capstan_inference.adapters.data_plane.asyncio.get_running_loop", Loop)
    with pytest.raises(asyncio.CancelledError):
        await plane.run()
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 0.1, 0.2]) and len(gone) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("program", "hung"), [("import time; time.sleep(60)", True), ("while True: pass", False)])
async def test_who_is_silent_and_does_nothing_is_ended_and_who_is_busy_gets_time(
    plane: DataPlane, pipe: Pipe, program: str, hung: bool
) -> None:
    silent = await asyncio.create_subprocess_exec(sys.executable, "-c", f"print(1, flush=True)\n{program}", stdout=-1)
    assert silent.stdout is not None
    await silent.stdout.readline()
    await asyncio.sleep(0.5)
    pipe.pid, plane._patience = silent.pid, Patience(0.1, 1, 60)
    watch = asyncio.create_task(plane._end_when_hung())
    try:
        async with asyncio.timeout(20 if hung else 4):
            await pipe.killed.wait()
    except TimeoutError:
        assert not hung
    else:
        assert hung
    finally:
        watch.cancel()
        silent.kill()
        await silent.wait()
    assert not plane.answers


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a flag without an event
            await asyncio.sleep(0.01)


async def test_one_that_answers_late_is_told_of_and_stays(plane: DataPlane, pipe: Pipe) -> None:
    plane._patience = Patience(0.05, 5, 5)
    watch = asyncio.create_task(plane._end_when_hung())
    await becomes(lambda: not plane.answers)
    plane._hear({"id": pipe.said[-1]["id"], "ok": {}})
    await becomes(lambda: plane.answers)
    watch.cancel()
    assert not pipe.killed.is_set()
