"""Lookups of the model server in Redis: the values of the files, and a server that is away never holds requests up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from capstan_formats.online import GenerationFile, ViewKeys
from capstan_formats.preprocess import KeySource
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.lookups import Lookups
from capstan_inference.dataplane.online import PROBE_S, TIMEOUT_S, Views, open_views
from capstan_inference.dataplane.request_errors import RequestError
from capstan_packages.fields import EntityLookup

NOON = 1_357_041_600_000_000
HOUR = 3_600_000_000
COLUMNS = ("weather__temp", "weather__rain")
WEATHER = EntityLookup(
    "weather", "ab" * 32, {"origin": KeySource("origin"), "time_hour": KeySource("departure", "floor_hour")}, COLUMNS,
    3 * 3600,
)  # fmt: skip
ABSENT = EntityLookup("planes", None, {"tailnum": KeySource("origin")}, ("planes__seats",), None)
VALUES: dict[str, list[Any]] = {
    "origin": ["EWR", "JFK", "EWR"],
    "departure": [NOON + 60_000_000, NOON, NOON + 5 * HOUR],
}
TIMES = [NOON + 60_000_000, NOON, NOON + 5 * HOUR]


class Link:
    """A wire to Redis that can be cut, or go silent."""

    def __init__(self, url: str) -> None:
        host, port = url.rpartition("@")[2].split("/")[0].split(":")
        self._target, self._silent, self._cut = (host, int(port)), threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f"{host}:{port}", f"127.0.0.1:{self._listener.getsockname()[1]}")
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._cut.is_set():
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                while self._silent.is_set() and not self._cut.is_set():
                    time.sleep(0.01)
                other.sendall(data)
        except OSError:
            pass
        finally:
            one.close()
            other.close()

    def go_silent(self) -> None:
        self._silent.set()

    def cut(self) -> None:
        self._cut.set()
        self.drop()

    def drop(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it, which closes both
        self._sockets.clear()

    def mend(self) -> None:
        self._silent.clear()
        self._cut.clear()

    def close(self) -> None:
        self._listener.close()
        self.drop()


@pytest.fixture
def project() -> str:
    return f"p-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def files(tmp_path: Path, write_weather: Callable[..., None]) -> Path:
    write_weather(tmp_path, {("EWR", NOON): (NOON, 21.5, None), ("JFK", NOON): (NOON + HOUR, 9.0, 0.5)})
    return tmp_path / "online" / "default"


@pytest.fixture
def link(redis_url: str, project: str, files: Path) -> Iterator[Link]:
    """The weather of the files, in Redis as the feature store writes it."""
    load(redis_url, project, files)
    wire = Link(redis_url)
    yield wire
    wire.close()


def load(url: str, project: str, files: Path, generation: str = "0" * 32) -> None:
    names = ViewKeys(project, "weather")
    with redis.Redis.from_url(url) as client, GenerationFile(files, "weather") as written:
        for batch in written.batches(100, 1 << 20):
            client.hset(names.rows(generation), mapping=batch)
        client.set(names.meta(generation), written.meta.to_bytes(), ex=600)
        client.expire(names.rows(generation), 600)
        client.set(names.current, generation, ex=600)


@pytest.fixture
def views(link: Link) -> Iterator[Views]:
    opened = open_views(link.url)
    yield opened
    opened.close()


def timed(lookups: Lookups) -> tuple[float, Any]:
    started = time.perf_counter()
    found = lookups.find(VALUES, TIMES)
    return time.perf_counter() - started, found


pytestmark = [pytest.mark.containers, pytest.mark.integration]


def test_the_same_as_from_the_files(views: Views, project: str, files: Path) -> None:
    counters = Counters()
    there = Lookups(project, [WEATHER, ABSENT], views, counters)
    here = Lookups("default", [WEATHER, ABSENT], open_views(files.parent), Counters())
    there.open()
    found, expected = there.find(VALUES, TIMES), here.find(VALUES, TIMES)
    assert found == expected
    assert found.columns == {
        "weather__temp": [21.5, None, None],
        "weather__rain": [None] * 3,
        "planes__seats": [None] * 3,
    }
    assert found.status["weather"] == ["present", "missing", "missing"]
    assert counters.lookup_errors == 0


def test_a_key_of_the_wrong_type_is_the_callers_mistake(views: Views, project: str) -> None:
    lookups = Lookups(project, [WEATHER], views, Counters())
    with pytest.raises(RequestError, match="keys of view weather"):
        lookups.find({"origin": [1.5], "departure": [NOON]}, [NOON])


def test_a_new_generation_is_seen_at_once(views: Views, project: str, redis_url: str, tmp_path: Path,
                                          write_weather: Callable[..., None]) -> None:  # fmt: skip
    lookups = Lookups(project, [WEATHER], views, Counters())
    assert lookups.find(VALUES, TIMES).columns["weather__temp"][0] == 21.5
    write_weather(tmp_path / "next", {("EWR", NOON): (NOON, 30.0, 0.0)})
    load(redis_url, project, tmp_path / "next" / "online" / "default", generation="1" * 32)
    assert lookups.find(VALUES, TIMES).columns["weather__temp"][0] == 30.0


def test_a_silent_server_costs_one_request_a_quarter_of_a_second_and_the_next_ones_nothing(
    views: Views, project: str, link: Link
) -> None:
    counters = Counters()
    lookups = Lookups(project, [WEATHER], views, counters)
    assert timed(lookups)[1].status["weather"][0] == "present"
    link.go_silent()
    first, found = timed(lookups)
    assert TIMEOUT_S * 0.9 < first < TIMEOUT_S * 3
    assert found.status["weather"] == ["missing"] * 3 and counters.lookup_errors == 1
    started = time.perf_counter()
    for _ in range(100):
        lookups.find(VALUES, TIMES)
    assert time.perf_counter() - started < TIMEOUT_S  # none of them waited
    assert counters.lookup_errors == 101
    link.mend()
    assert until_present(lookups) < PROBE_S * 20


def test_a_connection_that_was_dropped_while_idle_costs_nothing(views: Views, project: str, link: Link) -> None:
    counters = Counters()
    lookups = Lookups(project, [WEATHER], views, counters)
    lookups.find(VALUES, TIMES)
    link.drop()
    time.sleep(0.05)
    assert lookups.find(VALUES, TIMES).status["weather"][0] == "present"
    assert counters.lookup_errors == 0


def test_a_server_that_is_gone_is_found_again(views: Views, project: str, link: Link) -> None:
    lookups = Lookups(project, [WEATHER], views, Counters())
    lookups.find(VALUES, TIMES)
    link.cut()
    time.sleep(0.05)
    assert lookups.find(VALUES, TIMES).status["weather"] == ["missing"] * 3
    link.mend()
    assert until_present(lookups) < PROBE_S * 20


async def test_the_loop_goes_on_while_the_server_is_silent(views: Views, project: str, link: Link) -> None:
    """What matters of all this: over a second of requests, the loop is held once, for the timeout at most."""
    lookups = Lookups(project, [WEATHER], views, Counters())
    lookups.find(VALUES, TIMES)
    link.go_silent()
    loop, gaps = asyncio.get_running_loop(), list[float]()
    until = loop.time() + 1.0
    while loop.time() < until:
        started = loop.time()
        lookups.find(VALUES, TIMES)
        gaps.append(loop.time() - started)
        await asyncio.sleep(0.005)
    assert sum(gap > TIMEOUT_S / 2 for gap in gaps) == 1
    assert len(gaps) > 50
    link.mend()


def until_present(lookups: Lookups) -> float:
    started = time.perf_counter()
    while lookups.find(VALUES, TIMES).status["weather"][0] != "present":
        assert time.perf_counter() - started < 10
        time.sleep(0.01)
    return time.perf_counter() - started
