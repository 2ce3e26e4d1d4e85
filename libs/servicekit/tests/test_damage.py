"""Bytes that changed after they were stored: noticed at the next use, set aside, healed by the right bytes."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from capstan_contracts.errors import Code
from capstan_servicekit.errors import Damaged, from_problem
from capstan_servicekit.objects.bucket import S3Bucket
from capstan_servicekit.objects.cache import ObjectCache
from capstan_servicekit.objects.checked import AGAIN_S, SETTLED_NS, CheckedFiles
from capstan_servicekit.objects.folder import FolderObjectStore
from capstan_servicekit.objects.port import Condition, ObjectStore, path_of
from capstan_servicekit.objects.s3 import S3ObjectStore

CONTENT = b"a month of flights" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def flipped(content: bytes) -> bytes:
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


def flip(path: Path) -> None:
    """One bit, in place: the inode and the size stay."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(flipped(content))


class DamageBehaviour(ABC):
    @pytest.fixture
    @abstractmethod
    def objects(self, tmp_path: Path) -> ObjectStore: ...

    @abstractmethod
    def damage(self, objects: ObjectStore, content: bytes) -> None:
        """Other bytes under DIGEST, behind the store's back."""

    async def test_a_flipped_bit_is_never_read(self, objects: ObjectStore) -> None:
        await objects.put_bytes("default", CONTENT)
        self.damage(objects, flipped(CONTENT))
        for _ in range(2):  # also once it is set aside
            with pytest.raises(Damaged, match=DIGEST[:12]) as told:
                await objects.local_path("default", DIGEST)
            assert told.value.copy is not None and told.value.copy.read_bytes() == flipped(CONTENT)
            assert told.value.permanent and told.value.problem_code is Code.DAMAGED and told.value.hint
            with pytest.raises(Damaged):
                await objects.read("default", DIGEST)
        assert await objects.exists("default", DIGEST)

    async def test_scrubbing_tells_whole_damaged_and_gone_apart(self, objects: ObjectStore) -> None:
        await objects.put_bytes("default", CONTENT)
        assert await objects.scrub("default", DIGEST) is Condition.WHOLE
        assert await objects.scrub("default", "0" * 64) is Condition.GONE
        self.damage(objects, flipped(CONTENT))
        assert await objects.scrub("default", DIGEST) is Condition.DAMAGED
        assert await objects.scrub("default", DIGEST) is Condition.DAMAGED

    async def test_the_right_bytes_heal_it(self, objects: ObjectStore, tmp_path: Path) -> None:
        await objects.put_bytes("default", CONTENT)
        self.damage(objects, flipped(CONTENT))
        with pytest.raises(Damaged):
            await objects.read("default", DIGEST)
        source = tmp_path / "source"
        source.write_bytes(CONTENT)
        assert await objects.put_file("default", source) == DIGEST
        assert await objects.read("default", DIGEST) == CONTENT
        assert await objects.scrub("default", DIGEST) is Condition.WHOLE

    async def test_what_it_is_stands_first(self, objects: ObjectStore) -> None:
        with pytest.raises(Damaged, match="^the file of May is gone: no object"):
            await path_of(objects, "default", DIGEST, what="the file of May")
        await objects.put_bytes("default", CONTENT)
        self.damage(objects, b"")
        with pytest.raises(Damaged, match="^the file of May is damaged: object"):
            await path_of(objects, "default", DIGEST, what="the file of May")


class TestFolder(DamageBehaviour):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> ObjectStore:
        return FolderObjectStore(tmp_path / "objects")

    def damage(self, objects: ObjectStore, content: bytes) -> None:
        assert isinstance(objects, FolderObjectStore)
        path = objects._path("default", DIGEST)
        path.chmod(0o644)
        path.write_bytes(content)

    async def test_it_is_noticed_by_who_has_read_it_before(self, objects: ObjectStore) -> None:
        await objects.put_bytes("default", CONTENT)
        flip(await objects.local_path("default", DIGEST))
        with pytest.raises(Damaged) as told:
            await objects.local_path("default", DIGEST)
        assert told.value.copy is not None and told.value.copy.read_bytes() == flipped(CONTENT)

    async def test_storing_it_again_replaces_what_nobody_has_noticed(self, objects: ObjectStore) -> None:
        await objects.put_bytes("default", CONTENT)
        self.damage(objects, flipped(CONTENT))
        await objects.put_bytes("default", CONTENT)
        assert await objects.read("default", DIGEST) == CONTENT

    async def test_mended_through_another_name_it_comes_back(self, objects: ObjectStore, tmp_path: Path) -> None:
        await objects.put_bytes("default", CONTENT)
        path = await objects.local_path("default", DIGEST)
        os.link(path, tmp_path / "of dvc")
        flip(path)
        with pytest.raises(Damaged):
            await objects.local_path("default", DIGEST)
        flip(tmp_path / "of dvc")
        assert (await objects.local_path("default", DIGEST)).read_bytes() == CONTENT


class TestBucket(DamageBehaviour):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> ObjectStore:
        bucket = S3Bucket("s3://any/of", endpoint="http://none", region="x", access_key_id="", secret_access_key="")
        bucket._store = MemoryStore()  # type: ignore[assignment]  # the same calls, without a server
        return S3ObjectStore(bucket, ObjectCache(tmp_path / "cache", max_bytes=1 << 20))

    def damage(self, objects: ObjectStore, content: bytes) -> None:
        assert isinstance(objects, S3ObjectStore)
        obstore.put(objects.bucket._store, f"of/default/sha256/{DIGEST[:2]}/{DIGEST}", content)

    async def test_a_damaged_copy_is_fetched_again(self, objects: ObjectStore) -> None:
        await objects.put_bytes("default", CONTENT)
        flip(await objects.local_path("default", DIGEST))
        assert (await objects.local_path("default", DIGEST)).read_bytes() == CONTENT


def test_a_file_is_hashed_once_until_it_is_written(tmp_path: Path) -> None:
    now, path = [0.0], tmp_path / "file"
    path.write_bytes(CONTENT)
    checked = CheckedFiles(clock=lambda: now[0])
    assert checked.digest_of(path) == DIGEST
    path.write_bytes(flipped(CONTENT))
    assert checked.digest_of(path) != DIGEST  # however soon
    path.write_bytes(CONTENT)
    time.sleep(2 * SETTLED_NS / 1e9)
    assert checked.digest_of(path) == DIGEST
    status = path.stat()
    path.write_bytes(flipped(CONTENT))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert checked.digest_of(path) == DIGEST  # as after a bit that the disk forgot: no mark has moved
    now[0] += AGAIN_S
    assert checked.digest_of(path) != DIGEST
    path.write_bytes(CONTENT)
    assert checked.digest_of(path) == DIGEST


def test_another_service_hears_that_it_is_damage() -> None:
    told = from_problem(Damaged("the file of May is damaged", hint="put it back").problem())
    assert isinstance(told, Damaged) and told.permanent and told.hint == "put it back"
