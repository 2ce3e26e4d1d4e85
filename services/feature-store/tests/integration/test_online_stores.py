"""The online store in files and in Redis under one suite, read by the feature store's side; what only Redis has."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from capstan_feature_store.actions.ports import OnlineValue
from capstan_feature_store.adapters.online_files import OnlineFiles
from capstan_feature_store.adapters.online_redis import OLD_S, OnlineRedis
from capstan_feature_store.adapters.redis_client import FAILURES
from capstan_formats.online import (
    EntityRow,
    GenerationFile,
    OnlineEntity,
    OnlineReader,
    OnlineSchema,
    OnlineServerReader,
    OnlineStoreError,
    ViewKeys,
    ViewNotMaterializedError,
    ViewRows,
)
from capstan_formats.online.store import read_pointer
from capstan_servicekit.errors import NotReady
from capstan_testkit.broker import free_port
from capstan_testkit.suites.online import (
    LATE,
    PROJECT,
    VIEW,
    OnlineStoreBehaviour,
    OnlineStoreUnderTest,
    row,
    schema,
    write_file,
)


class Files:
    """The job writes the store itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def write(
        self, schema: OnlineSchema, rows: Sequence[EntityRow], sequence: int = 1, watermark: int | None = None
    ) -> int:
        await asyncio.to_thread(write_file, self.folder, schema, rows, sequence, watermark)
        with GenerationFile(self.folder, VIEW) as written:
            return written.meta.rows

    def read(self, keys: Sequence[Sequence[Any]]) -> list[OnlineEntity | None] | None:
        try:
            with OnlineReader(self.folder, VIEW) as reader:
                return reader.get(keys)
        except ViewNotMaterializedError:
            return None

    def version(self) -> str:
        with OnlineReader(self.folder, VIEW) as reader:
            return reader.schema.version

    def watermark(self) -> int | None:
        with GenerationFile(self.folder, VIEW) as written:
            return written.meta.watermark


class InRedis:
    """The job writes a file of its own, and the service loads it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.project, self.folder, self.numbers = f"p-{uuid.uuid4().hex[:12]}", folder, itertools.count()
        self.store = OnlineRedis(url)
        self.client = redis.Redis.from_url(url)
        self.reader = OnlineServerReader(self.client, FAILURES)

    async def write(
        self, schema: OnlineSchema, rows: Sequence[EntityRow], sequence: int = 1, watermark: int | None = None
    ) -> int:
        folder = self.store.workplace(self.project, self.folder / str(next(self.numbers)))
        await asyncio.to_thread(write_file, folder, schema, rows, sequence, watermark)
        loaded = await self.store.take_in(self.project, VIEW, folder)
        assert loaded is not None
        return loaded.rows

    def read(self, keys: Sequence[Sequence[Any]]) -> list[OnlineEntity | None] | None:
        (answer,) = self.reader.get(self.project, [(VIEW, keys)])
        if isinstance(answer, ViewNotMaterializedError):
            return None
        assert isinstance(answer, ViewRows), answer
        return answer.rows

    def version(self) -> str:
        return self.reader.meta(self.project, VIEW).schema.version

    def watermark(self) -> int | None:
        return self.reader.meta(self.project, VIEW).watermark

    def close(self) -> None:
        for name in self.client.scan_iter(f"capstan:{{{self.project}/*"):
            self.client.delete(name)
        self.client.close()


class TestFiles(OnlineStoreBehaviour):
    @pytest.fixture
    def store(self, tmp_path: Path) -> OnlineStoreUnderTest:
        return Files(tmp_path / "online")


async def test_a_file_of_an_older_format_is_not_read_and_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / PROJECT
    write_file(folder, schema(), [row("EWR", 1.0)], 5, None)
    with closing(sqlite3.connect(read_pointer(folder, VIEW))) as connection, connection:
        connection.execute("UPDATE meta SET value = CAST(replace(value, 'online/2', 'online/1') AS BLOB)")
    store = OnlineFiles(tmp_path)
    assert not await store.holds(PROJECT, VIEW, "v1")
    with pytest.raises(NotReady, match="of another release's format"):
        await store.read(PROJECT, VIEW, "v1", [("EWR", 0)], at_us=LATE)
    write_file(folder, schema(), [row("EWR", 2.0)], 1, None)
    assert await store.holds(PROJECT, VIEW, "v1")
    (found,) = await store.read(PROJECT, VIEW, "v1", [("EWR", 0)], at_us=10)
    assert found == OnlineValue("present", 10, {"temp": 2.0})


async def test_a_damaged_file_is_not_online_and_the_log_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / PROJECT
    write_file(folder, schema(), [row("EWR", 1.0)], 5, None)
    read_pointer(folder, VIEW).write_bytes(b"no database")
    assert not await OnlineFiles(tmp_path).holds(PROJECT, VIEW, "v1")
    assert "online_store.damaged" in capsys.readouterr().out
    assert not await OnlineFiles(tmp_path).holds(PROJECT, "other", "v1")
    assert capsys.readouterr().out == ""


@pytest.fixture
async def in_redis(redis_url: str, tmp_path: Path) -> Any:
    store = InRedis(redis_url, tmp_path)
    yield store
    store.close()
    await store.store.close()


@pytest.mark.containers
class TestRedis(OnlineStoreBehaviour):
    @pytest.fixture
    def store(self, in_redis: InRedis) -> OnlineStoreUnderTest:
        return in_redis

    async def test_the_old_generation_goes_after_a_minute_and_the_new_one_stays(self, in_redis: InRedis) -> None:
        client, names = in_redis.client, ViewKeys(in_redis.project, VIEW)
        await in_redis.write(schema(), [row("EWR", 1.0)])
        old = client.get(names.current).decode()  # type: ignore[union-attr]
        await in_redis.write(schema(), [row("EWR", 2.0)])
        new = client.get(names.current).decode()  # type: ignore[union-attr]
        assert 0 < client.ttl(names.rows(old)) <= OLD_S
        assert 0 < client.ttl(names.meta(old)) <= OLD_S
        assert [client.ttl(name) for name in (names.current, names.rows(new), names.meta(new))] == [-1, -1, -1]
        assert len(list(client.scan_iter(f"capstan:{{{in_redis.project}/*"))) == 5

    async def test_the_usual_read_is_one_round_trip(self, in_redis: InRedis) -> None:
        await in_redis.write(schema(), [row("EWR", 1.0)])
        in_redis.read([("EWR", 0)])
        trips = _count_trips(in_redis)
        in_redis.read([("EWR", 0), ("JFK", 0)])
        assert trips == [2]  # two commands in one trip: the pointer, and the rows
        await in_redis.write(schema(), [row("EWR", 2.0, event=11)])
        trips.clear()
        assert self.temps(in_redis, "EWR") == [2.0]
        assert len(trips) == 2

    async def test_rows_that_share_an_entity_ask_for_it_once(self, in_redis: InRedis) -> None:
        await in_redis.write(schema(), [row("EWR", 1.0)])
        in_redis.read([("EWR", 0)])
        asked: list[int] = []
        pipeline = in_redis.client.pipeline

        def seen(transaction: bool = True) -> Any:
            made = pipeline(transaction=transaction)
            hmget = made.hmget

            def count(name: str, keys: list[Any]) -> Any:
                asked.append(len(keys))
                return hmget(name, keys)

            made.hmget = count  # type: ignore[method-assign, assignment]
            return made

        in_redis.client.pipeline = seen  # type: ignore[method-assign, assignment]
        assert self.temps(in_redis, "EWR", "JFK", "EWR", "EWR") == [1.0, None, 1.0, 1.0]
        assert asked == [2]

    async def test_an_emptied_server_is_noticed(self, in_redis: InRedis) -> None:
        await in_redis.write(schema(), [row("EWR", 1.0)])
        assert await in_redis.store.holds(in_redis.project, VIEW, "v1")
        assert not await in_redis.store.holds(in_redis.project, VIEW, "v2")
        in_redis.client.delete(ViewKeys(in_redis.project, VIEW).current)
        assert not await in_redis.store.holds(in_redis.project, VIEW, "v1")
        assert in_redis.read([("EWR", 0)]) is None

    async def test_a_generation_of_an_older_format_is_not_read_and_is_replaced(self, in_redis: InRedis) -> None:
        await in_redis.write(schema(), [row("EWR", 1.0)], 5)
        names = ViewKeys(in_redis.project, VIEW)
        meta = names.meta(in_redis.client.get(names.current).decode())  # type: ignore[union-attr]
        written: bytes = in_redis.client.get(meta)  # type: ignore[assignment]
        in_redis.client.set(meta, written.replace(b"capstan.online/2", b"capstan.online/1"))
        fresh = OnlineServerReader(in_redis.client, FAILURES)
        (answer,) = fresh.get(in_redis.project, [(VIEW, [("EWR", 0)])])
        assert isinstance(answer, OnlineStoreError) and "format must be" in str(answer)
        store = OnlineRedis(in_redis.url)
        assert not await store.holds(in_redis.project, VIEW, "v1")
        with pytest.raises(NotReady, match="of another release's format"):
            await store.read(in_redis.project, VIEW, "v1", [("EWR", 0)], at_us=LATE)
        in_redis.store = store
        await in_redis.write(schema(), [row("EWR", 2.0)], 1)
        assert await store.holds(in_redis.project, VIEW, "v1")
        assert self.temps(in_redis, "EWR") == [2.0]

    async def test_ready_when_it_answers(self, in_redis: InRedis) -> None:
        assert await in_redis.store.check() is None

    async def test_a_wrong_password_is_a_sentence(self, redis_url: str) -> None:
        store = OnlineRedis(redis_url.replace("redis://:", "redis://:not-"))
        sentence = await store.check()
        assert sentence is not None
        assert "refuses the password in CAPSTAN_ONLINE_STORE_URL" in sentence
        assert redis_url.partition("@")[0].rpartition(":")[2] not in sentence
        await store.close()

    async def test_a_full_server_is_a_sentence(self, in_redis: InRedis) -> None:
        in_redis.client.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(NotReady, match="is full; give Redis more memory"):
                await in_redis.write(schema(), [EntityRow(("EWR", hour), 1, 1, (1.0,)) for hour in range(30_000)])
        finally:
            in_redis.client.config_set("maxmemory", "0")
        assert in_redis.read([("EWR", 0)]) is None


def _count_trips(store: InRedis) -> list[int]:
    """Commands per round trip from now on."""
    trips: list[int] = []
    pipeline = store.client.pipeline

    def counted(transaction: bool = True) -> Any:
        made = pipeline(transaction=transaction)
        execute = made.execute

        def count() -> Any:
            trips.append(len(made.command_stack))
            return execute()

        made.execute = count  # type: ignore[method-assign, assignment]
        return made

    store.client.pipeline = counted  # type: ignore[method-assign, assignment]
    return trips


async def test_a_server_that_is_not_there_is_a_sentence() -> None:
    store = OnlineRedis(f"redis://:secret@127.0.0.1:{free_port()}/0")
    sentence = await store.check()
    assert sentence is not None and "cannot be reached" in sentence and "CAPSTAN_ONLINE_STORE_URL" in sentence
    assert "secret" not in sentence
    with pytest.raises(NotReady, match="cannot be reached"):
        await store.read("default", VIEW, "v1", [("EWR", 0)], at_us=0)
    await store.close()
