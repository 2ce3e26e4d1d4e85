"""What every online store must do, on its writing side and under each of its readers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from capstan_formats.online import (
    MISSING,
    UNKNOWN,
    EntityRow,
    Lookup,
    NewerOnlineError,
    OnlineColumn,
    OnlineEntity,
    OnlineSchema,
    OnlineWriter,
    Status,
    look_up,
)

PROJECT, VIEW = "default", "weather"
LATE = 1 << 50
"""A moment after all rows."""


def schema(version: str = "v1", *columns: OnlineColumn) -> OnlineSchema:
    """A view by origin and hour."""
    keys = (OnlineColumn("origin", "string"), OnlineColumn("hour", "timestamp"))
    return OnlineSchema(VIEW, version, keys, columns or (OnlineColumn("temp", "float64"),), 3600)


class OnlineStoreUnderTest(Protocol):
    """A store, as the suite drives it."""

    async def write(
        self, schema: OnlineSchema, rows: Sequence[EntityRow], sequence: int = 1, watermark: int | None = None
    ) -> int:
        """Put to use what a job writes of a dataset version; entities that the view holds then."""
        ...

    def read(self, keys: Sequence[Sequence[Any]]) -> list[OnlineEntity | None] | None:
        """One entity per key; None while the view holds nothing. From any thread."""
        ...

    def version(self) -> str:
        """The version of the view that is online."""
        ...

    def watermark(self) -> int | None:
        """The event time that the view is complete up to."""
        ...


def write_file(
    folder: Path, schema: OnlineSchema, rows: Sequence[EntityRow], sequence: int, watermark: int | None
) -> None:
    """What a job does; one that finds a later version leaves all as it is."""
    try:
        with OnlineWriter(folder, schema, sequence) as writer:
            writer.write(rows)
            writer.commit(watermark)
    except NewerOnlineError:
        return


def row(
    origin: str, temp: float | None, event: int = 10, known_at: int | None = None, *, older: bool = False
) -> EntityRow:
    """A row of the view."""
    return EntityRow((origin, 0), event, event if known_at is None else known_at, (temp,), older)


def present(event: int, **values: Any) -> Lookup:
    """What a row gives."""
    return Lookup(Status.PRESENT, event, values)


class OnlineStoreBehaviour:
    """Inherit, and give a `store` fixture: an empty store."""

    def looked_up(
        self, store: OnlineStoreUnderTest, *origins: str, at: int = LATE, ttl_s: int | None = None
    ) -> list[Lookup]:
        """What the view gives for origins at a moment; something must be online."""
        entities = store.read([(origin, 0) for origin in origins])
        assert entities is not None
        return [look_up(entity, at, ttl_s) for entity in entities]

    def temps(self, store: OnlineStoreUnderTest, *origins: str, at: int = LATE) -> list[float | None]:
        """The values; None where there is none."""
        return [
            None if lookup.values is None else lookup.values["temp"]
            for lookup in self.looked_up(store, *origins, at=at)
        ]

    async def test_nothing_is_there_at_first(self, store: OnlineStoreUnderTest) -> None:
        assert store.read([("EWR", 0)]) is None

    async def test_entities_come_back_in_the_order_of_the_keys(self, store: OnlineStoreUnderTest) -> None:
        assert await store.write(schema(), [row("EWR", 1.5, 10, 11), row("JFK", None)], watermark=10) == 2
        entities = store.read([("JFK", 0), ("LGA", 0), ("EWR", 0), ("EWR", 0), (None, 0), ("EWR", 1)])
        assert entities is not None
        assert [look_up(entity, LATE, None) for entity in entities] == [
            present(10, temp=None), MISSING, present(10, temp=1.5), present(10, temp=1.5), MISSING, MISSING,
        ]  # fmt: skip
        assert store.watermark() == 10
        assert store.read([(None, 0)]) == [None]
        assert store.read([]) == []

    async def test_many_entities_in_one_read(self, store: OnlineStoreUnderTest) -> None:
        assert await store.write(schema(), [EntityRow(("EWR", hour), 1, 1, (hour,)) for hour in range(7000)]) == 7000
        entities = store.read([("EWR", hour) for hour in range(0, 7000, 2)])
        assert entities is not None
        assert [(look_up(entity, LATE, None).values or {})["temp"] for entity in entities] == list(range(0, 7000, 2))

    async def test_each_row_answers_from_the_moment_that_it_is_known(self, store: OnlineStoreUnderTest) -> None:
        """A timetable: rows ahead of now take effect at their moment, and nothing is written for it."""
        await store.write(schema(), [row("EWR", float(event), event, event + 5) for event in range(10, 1000, 10)])
        moments = [14, 15, 24, 25, 26, 500, 994, 995, LATE]
        assert [self.temps(store, "EWR", at=at)[0] for at in moments] == [
            None, 10.0, 10.0, 20.0, 20.0, 490.0, 980.0, 990.0, 990.0,
        ]  # fmt: skip
        assert self.looked_up(store, "EWR", at=14) == [MISSING]

    async def test_a_moment_before_what_is_kept_is_unknown_and_not_missing(self, store: OnlineStoreUnderTest) -> None:
        rows = [row("EWR", 1.0, 10, older=True), row("JFK", 1.0, 10, older=True), row("JFK", 2.0, 20), row("LGA", 1.0)]
        await store.write(schema(), rows)
        assert self.looked_up(store, "EWR", "JFK", "LGA", at=9) == [UNKNOWN, UNKNOWN, MISSING]
        assert self.temps(store, "EWR", "JFK", "LGA", at=10) == [1.0, 1.0, 1.0]

    async def test_the_ttl_is_judged_at_the_row_that_answers(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 1.0, 0), row("EWR", 2.0, 20_000_000)])
        moments = [10_000_000, 10_000_001, 20_000_000, 30_000_000, 30_000_001]
        lookups = [self.looked_up(store, "EWR", at=at, ttl_s=10)[0] for at in moments]
        assert [(lookup.status.value, lookup.event_ts) for lookup in lookups] == [
            ("present", 0), ("expired", 0), ("present", 20_000_000), ("present", 20_000_000), ("expired", 20_000_000),
        ]  # fmt: skip

    async def test_a_later_version_replaces_all_rows_of_the_one_before(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 1.0, 20), row("EWR", 2.0, 30), row("JFK", 1.0, 20)], 1, 30)
        assert await store.write(schema(), [row("EWR", 3.0, 10)], 2, 10) == 1
        assert self.looked_up(store, "EWR", "JFK") == [present(10, temp=3.0), MISSING]
        assert store.watermark() == 10

    async def test_an_earlier_version_never_replaces_a_later_one(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 2.0), row("JFK", 1.0)], 2)
        assert await store.write(schema(), [row("EWR", 1.0, 99)], 1) == 2
        assert self.temps(store, "EWR", "JFK") == [2.0, 1.0]
        assert await store.write(schema(), [row("EWR", 4.0)], 2) == 1  # the same version again is as good as before
        assert self.temps(store, "EWR", "JFK") == [4.0, None]

    async def test_a_new_definition_begins_empty(self, store: OnlineStoreUnderTest) -> None:
        await store.write(schema(), [row("EWR", 1.0), row("JFK", 1.0)], 7, 99)
        new = schema("v2", OnlineColumn("wind", "int64"), OnlineColumn("note", "string"))
        assert await store.write(new, [EntityRow(("EWR", 0), 10, 10, (5, "calm"))], 1, 10) == 1
        assert self.looked_up(store, "EWR", "JFK") == [present(10, wind=5, note="calm"), MISSING]
        assert store.version() == "v2"
        assert store.watermark() == 10

    async def test_a_view_without_rows_is_online(self, store: OnlineStoreUnderTest) -> None:
        assert await store.write(schema(), []) == 0
        assert store.read([("EWR", 0)]) == [None]
        assert await store.write(schema(), [row("EWR", 1.0)]) == 1
        assert self.temps(store, "EWR") == [1.0]

    @pytest.mark.timeout(120)
    async def test_readers_never_miss_a_view_nor_see_half_of_one(self, store: OnlineStoreUnderTest) -> None:
        """Each generation gives all entities the same value, and values only grow."""
        origins = [f"A{number}" for number in range(50)]
        await store.write(schema(), [row(origin, 0.0, event=1) for origin in origins])
        done, wrong, reads = threading.Event(), list[str](), [0]

        def watch() -> None:
            last = 0.0
            while not done.is_set():
                values = {-1.0 if temp is None else temp for temp in self.temps(store, *origins)}
                reads[0] += 1
                if len(values) != 1 or min(values) < last:
                    wrong.append(f"{values} after {last}")
                    return
                last = min(values)

        watcher = asyncio.create_task(asyncio.to_thread(watch))
        for number in range(1, 20):
            await store.write(schema(), [row(origin, float(number), event=1 + number) for origin in origins], number)
        done.set()
        await watcher
        assert not wrong
        assert reads[0] > 1

    async def test_of_writers_at_the_same_time_the_latest_version_stays(self, store: OnlineStoreUnderTest) -> None:
        versions = [3, 1, 4, 2]
        await asyncio.gather(*(store.write(schema(), [row("EWR", float(number))], number) for number in versions))
        assert self.temps(store, "EWR") == [4.0]
