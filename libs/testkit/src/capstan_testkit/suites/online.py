"""What every online store must do, on its writing side and under each of its readers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from capstan_formats.online import EntityRow, OnlineColumn, OnlineRow, OnlineSchema, OnlineWriter

PROJECT, VIEW = "default", "weather"


def schema(version: str = "v1", *columns: OnlineColumn) -> OnlineSchema:
    """A view by origin and hour."""
    keys = (OnlineColumn("origin", "string"), OnlineColumn("hour", "timestamp"))
    return OnlineSchema(VIEW, version, keys, columns or (OnlineColumn("temp", "float64"),), 3600)


class OnlineStoreUnderTest(Protocol):
    """A store, as the suite drives it."""

    async def write(self, schema: OnlineSchema, rows: Sequence[EntityRow], watermark: int | None = None) -> int:
        """Put to use what a job writes of these rows; entities that the view holds then."""
        ...

    def read(self, keys: Sequence[Sequence[Any]]) -> list[OnlineRow | None] | None:
        """One row per key; None while the view holds nothing. From any thread."""
        ...

    def version(self) -> str:
        """The version of the view that is online."""
        ...

    def watermark(self) -> int | None:
        """The event time that the view is complete up to."""
        ...


def write_file(folder: Path, schema: OnlineSchema, rows: Sequence[EntityRow], watermark: int | None) -> None:
    """What a job does."""
    with OnlineWriter(folder, schema) as writer:
        writer.write(rows)
        writer.commit(watermark)


def row(origin: str, temp: float | None, event: int = 10, created: int = 10, tie: int = 0) -> EntityRow:
    """A row of the view."""
    return EntityRow((origin, 0), event, created, (temp,), tie)


class OnlineStoreBehaviour:
    """Inherit, and give a `store` fixture: an empty store."""

    async def temp(self, store: OnlineStoreUnderTest, origin: str) -> float | None:
        """The value of one entity; it must be there."""
        (found,) = store.read([(origin, 0)]) or [None]
        assert found is not None
        value: float | None = found.values["temp"]
        return value

    async def test_nothing_is_there_at_first(self, store: OnlineStoreUnderTest) -> None:
        assert store.read([("EWR", 0)]) is None

    async def test_rows_come_back_in_the_order_of_the_keys(self, store: OnlineStoreUnderTest) -> None:
        assert await store.write(schema(), [row("EWR", 1.5, 10, 11), row("JFK", None)], 10) == 2
        found = store.read([("JFK", 0), ("LGA", 0), ("EWR", 0), ("EWR", 0), (None, 0), ("EWR", 1)])
        assert found is not None
        assert found[0] == OnlineRow(10, 10, {"temp": None})
        assert [one is None for one in found] == [False, True, False, False, True, True]
        assert found[2] == found[3] == OnlineRow(10, 11, {"temp": 1.5})
        assert store.watermark() == 10
        assert store.read([(None, 0)]) == [None]
        assert store.read([]) == []

    async def test_many_rows_in_one_read(self, store: OnlineStoreUnderTest) -> None:
        assert await store.write(schema(), [EntityRow(("EWR", hour), 1, 1, (hour,)) for hour in range(7000)]) == 7000
        found = store.read([("EWR", hour) for hour in range(0, 7000, 2)])
        assert found is not None
        assert [one.values["temp"] for one in found if one] == list(range(0, 7000, 2))

    async def test_a_value_never_moves_back_in_time(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 1.0, event=20, created=20), row("JFK", 1.0, event=20, created=20)], 20)
        await store.write(schema(), [row("EWR", 2.0, event=10, created=99), row("JFK", 2.0, event=20, created=21)], 15)
        assert await self.temp(store, "EWR") == 1.0
        assert await self.temp(store, "JFK") == 2.0
        assert store.watermark() == 20

    async def test_equal_times_are_decided_by_the_tie(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 9.0, tie=1)])
        await store.write(schema(), [row("EWR", 2.0, tie=2)])
        assert await self.temp(store, "EWR") == 2.0
        await store.write(schema(), [row("EWR", 9.0, tie=1)])
        assert await self.temp(store, "EWR") == 2.0

    async def test_entities_that_a_job_leaves_out_stay(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 1.0)])
        assert await store.write(schema(), [row("JFK", 2.0)]) == 2
        assert await self.temp(store, "EWR") == 1.0

    async def test_a_new_definition_begins_empty(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 1.0), row("JFK", 1.0)], 99)
        new = schema("v2", OnlineColumn("wind", "int64"), OnlineColumn("note", "string"))
        assert await store.write(new, [EntityRow(("EWR", 0), 10, 10, (5, "calm"))], 10) == 1
        assert store.read([("EWR", 0), ("JFK", 0)]) == [OnlineRow(10, 10, {"wind": 5, "note": "calm"}), None]
        assert store.version() == "v2"
        assert store.watermark() == 10

    async def test_a_view_without_rows_is_online(self, store: OnlineStoreUnderTest) -> None:
        assert await store.write(schema(), []) == 0
        assert store.read([("EWR", 0)]) == [None]
        assert await store.write(schema(), [row("EWR", 1.0)]) == 1
        assert await self.temp(store, "EWR") == 1.0

    @pytest.mark.timeout(120)
    async def test_readers_never_miss_a_view_nor_see_half_of_one(self, store: OnlineStoreUnderTest) -> None:
        """Each generation gives all entities the same value, and values only grow."""
        origins = [f"A{number}" for number in range(50)]
        keys = [(origin, 0) for origin in origins]
        await store.write(schema(), [row(origin, 0.0, event=1) for origin in origins])
        done, wrong, reads = threading.Event(), list[str](), [0]

        def watch() -> None:
            last = 0.0
            while not done.is_set():
                found = store.read(keys) or [None]
                values = {-1.0 if one is None else float(one.values["temp"]) for one in found}
                reads[0] += 1
                if len(values) != 1 or min(values) < last:
                    wrong.append(f"{values} after {last}")
                    return
                last = min(values)

        watcher = asyncio.create_task(asyncio.to_thread(watch))
        for number in range(1, 20):
            await store.write(schema(), [row(origin, float(number), event=1 + number) for origin in origins])
        done.set()
        await watcher
        assert not wrong
        assert reads[0] > 1

    async def test_writers_at_the_same_time_lose_nothing(self, store: OnlineStoreUnderTest) -> None:
        await asyncio.gather(*(store.write(schema(), [row(f"A{number}", float(number))]) for number in range(4)))
        assert store.read([(f"A{number}", 0) for number in range(4)]) == [
            OnlineRow(10, 10, {"temp": float(number)}) for number in range(4)
        ]
