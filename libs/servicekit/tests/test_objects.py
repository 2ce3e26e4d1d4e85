"""The folder and S3 under one behaviour suite; what only a distant store has: cache and diagnosis."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from capstan_servicekit.errors import Damaged, NotReady
from capstan_servicekit.objects.bucket import S3Bucket
from capstan_servicekit.objects.cache import KEEP_S, ObjectCache
from capstan_servicekit.objects.folder import FolderObjectStore
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.objects.s3 import S3ObjectStore
from capstan_servicekit.runtime import Kit
from capstan_servicekit.settings import ServiceSettings, wrong_settings
from capstan_testkit.broker import free_port
from capstan_testkit.suites.objects import ObjectStoreBehaviour

if TYPE_CHECKING:
    from capstan_testkit.containers import S3Server


class ToySettings(ServiceSettings):
    SERVICE = "ingestion"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestFolder(ObjectStoreBehaviour):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> ObjectStore:
        return FolderObjectStore(tmp_path / "objects")


@pytest.mark.containers
class TestS3(ObjectStoreBehaviour):
    @pytest.fixture
    def objects(self, s3: S3Server, tmp_path: Path) -> ObjectStore:
        settings = ToySettings(home=tmp_path, bus_url="memory:", **s3.settings(f"suite/{uuid.uuid4().hex}"))
        kit = Kit.from_settings(settings)
        assert isinstance(kit.objects, S3ObjectStore)
        return kit.objects

    async def test_another_process_finds_it_and_keeps_a_copy(self, s3: S3Server, tmp_path: Path) -> None:
        prefix = uuid.uuid4().hex
        one = S3ObjectStore(s3.open(prefix), ObjectCache(tmp_path / "one", max_bytes=1 << 20))
        two = S3ObjectStore(s3.open(prefix), ObjectCache(tmp_path / "two", max_bytes=1 << 20))
        digest = await one.put_bytes("default", b"told")
        assert (await two.local_path("default", digest)).read_bytes() == b"told"
        assert (tmp_path / "two" / "default" / digest[:2] / digest).is_file()
        assert await s3.open(prefix).exists(f"default/sha256/{digest[:2]}/{digest}")

    async def test_damaged_bytes_are_refused_and_set_aside(self, s3: S3Server, tmp_path: Path) -> None:
        bucket, digest = s3.open(uuid.uuid4().hex), digest_of(b"what it should be")
        await bucket.put(f"default/sha256/{digest[:2]}/{digest}", b"what somebody wrote there")
        store = S3ObjectStore(bucket, ObjectCache(tmp_path, max_bytes=1 << 20))
        with pytest.raises(Damaged, match="other bytes"):
            await store.read("default", digest)
        assert [path.name for path in files_below(tmp_path)] == [f"{digest}.damaged"]

    async def test_ready_when_the_bucket_answers(self, s3: S3Server, tmp_path: Path) -> None:
        store = S3ObjectStore(s3.open(), ObjectCache(tmp_path, max_bytes=1 << 20))
        assert await store.check() is None

    @pytest.mark.parametrize(
        ("wrong", "setting", "words"),
        [
            ({"url": "s3://no-such-bucket"}, "CAPSTAN_OBJECT_STORE_URL", "bucket 'no-such-bucket' is not there"),
            ({"access_key_id": "nobody"}, "CAPSTAN_S3_ACCESS_KEY_ID", "refuses the credentials"),
            ({"secret_access_key": "wrong"}, "CAPSTAN_S3_SECRET_ACCESS_KEY", "refuses the credentials"),
        ],
    )
    async def test_trouble_is_a_sentence_that_names_the_setting(
        self, s3: S3Server, wrong: dict[str, str], setting: str, words: str
    ) -> None:
        await _tells(s3.open(**wrong), setting, words)


async def _tells(bucket: S3Bucket, setting: str, words: str) -> None:
    with pytest.raises(NotReady) as told:
        await bucket.put("default/x", b"x")
    assert words in told.value.detail
    assert setting in told.value.hint
    sentence = await bucket.diagnosis()
    assert sentence is not None and words in sentence and setting in sentence and "\n" not in sentence


async def test_a_server_that_is_not_there_is_named() -> None:
    bucket = S3Bucket(
        "s3://any", endpoint=f"http://127.0.0.1:{free_port()}", region="us-east-1", access_key_id="a",
        secret_access_key="b", patience_s=0.5,
    )  # fmt: skip
    await _tells(bucket, "CAPSTAN_S3_ENDPOINT", "cannot be reached")


async def test_a_service_says_at_its_door_that_the_object_store_is_away(tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    settings = ToySettings(
        home=tmp_path, bus_url="memory:", object_store_url="s3://any", s3_endpoint=endpoint, s3_access_key_id="a"
    )
    sentence = await Kit.from_settings(settings).checks["object store"]()
    assert sentence is not None and endpoint in sentence and "CAPSTAN_S3_ENDPOINT" in sentence


@pytest.mark.parametrize("url", ["s3://", "bucket", "s3://UPPER", "http://bucket", "s3://a-bucket/../x", "s3://ok//x"])
def test_a_wrong_url_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="object_store_url") as refused:
        ToySettings(object_store_url=url)
    assert "CAPSTAN_OBJECT_STORE_URL" in wrong_settings(refused.value)  # type: ignore[arg-type]


class Source:
    """A distant store that counts, and lets one wait."""

    def __init__(self, content: bytes) -> None:
        self.content, self.fetches, self.go = content, 0, threading.Event()
        self.go.set()

    def __call__(self, file: BinaryIO) -> None:
        self.fetches += 1
        self.go.wait(10)
        file.write(self.content)


async def test_those_who_ask_at_once_share_one_fetch(tmp_path: Path) -> None:
    cache, source = ObjectCache(tmp_path, max_bytes=100), Source(b"shared")
    source.go.clear()
    asking = [asyncio.create_task(cache.get("p", digest_of(b"shared"), source)) for _ in range(10)]
    await asyncio.sleep(0.05)
    asking[0].cancel()  # whoever gives up does not take it from the others
    source.go.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {path.read_bytes() for path in results[1:]} == {b"shared"}  # type: ignore[union-attr]
    assert source.fetches == 1
    await cache.get("p", digest_of(b"shared"), source)
    assert source.fetches == 1


async def test_the_least_recently_used_go_first_and_fresh_ones_stay(tmp_path: Path) -> None:
    now = 1_000_000.0
    cache = ObjectCache(tmp_path, max_bytes=250, clock=lambda: now)
    contents = [bytes([number]) * 100 for number in range(4)]
    first, second, third, fourth = (digest_of(content) for content in contents)
    for content in contents[:3]:
        await cache.get("p", digest_of(content), Source(content))
        now += 1
    # Over the bound, but each may just have been handed out.
    assert all(cache.path("p", digest).exists() for digest in (first, second, third))
    now += KEEP_S
    await cache.get("p", first, Source(contents[0]))  # used again, so the second is now the oldest
    await cache.get("p", fourth, Source(contents[3]))
    assert [cache.path("p", digest).exists() for digest in (first, second, third, fourth)] == [True, False, False, True]


async def test_a_failed_fetch_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    cache, digest = ObjectCache(tmp_path, max_bytes=100), digest_of(b"right")
    with pytest.raises(Damaged):
        await cache.get("p", digest, Source(b"wrong"))
    assert (await cache.get("p", digest, Source(b"right"))).read_bytes() == b"right"
