"""What every object store must do."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from capstan_servicekit.errors import Invalid, NotFound
from capstan_servicekit.objects.port import ObjectStore

NOWHERE = "0" * 64


class ObjectStoreBehaviour:
    """Inherit, and give an `objects` fixture: an empty store."""

    async def test_bytes_come_back_under_their_digest(self, objects: ObjectStore) -> None:
        content = bytes(range(256)) * 10
        digest = await objects.put_bytes("default", content)
        assert digest == hashlib.sha256(content).hexdigest()
        assert await objects.read("default", digest) == content
        assert await objects.exists("default", digest)

    async def test_nothing_is_something_too(self, objects: ObjectStore) -> None:
        digest = await objects.put_bytes("default", b"")
        assert await objects.read("default", digest) == b""

    async def test_a_file_is_copied_and_may_go_afterwards(self, objects: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"x" * 12_000_000)  # more than one part of an upload in parts
        digest = await objects.put_file("default", source)
        source.unlink()
        path = await objects.local_path("default", digest)
        assert path.stat().st_size == 12_000_000
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest

    async def test_the_same_again_is_the_same(self, objects: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"twice")
        digests = await asyncio.gather(
            objects.put_bytes("default", b"twice"), objects.put_bytes("default", b"twice"),
            objects.put_file("default", source), objects.put_file("default", source),
        )  # fmt: skip
        assert len(set(digests)) == 1
        assert await objects.read("default", digests[0]) == b"twice"

    async def test_projects_see_nothing_of_each_other(self, objects: ObjectStore) -> None:
        digest = await objects.put_bytes("default", b"mine")
        assert not await objects.exists("elsewhere", digest)
        with pytest.raises(NotFound):
            await objects.local_path("elsewhere", digest)

    async def test_what_is_not_there_is_not_found(self, objects: ObjectStore) -> None:
        assert not await objects.exists("default", NOWHERE)
        with pytest.raises(NotFound):
            await objects.read("default", NOWHERE)
        with pytest.raises(NotFound):
            await objects.local_path("default", NOWHERE)

    @pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "0" * 63, ""])
    async def test_only_digests_are_names(self, objects: ObjectStore, digest: str) -> None:
        with pytest.raises(Invalid):
            await objects.read("default", digest)
        with pytest.raises(Invalid):
            await objects.exists("default", digest)

    async def test_the_file_is_for_reading_and_the_same_for_all_who_ask(self, objects: ObjectStore) -> None:
        digest = await objects.put_bytes("default", b"shared")
        paths = await asyncio.gather(*(objects.local_path("default", digest) for _ in range(20)))
        assert len(set(paths)) == 1
        assert paths[0].stat().st_mode & 0o222 == 0
