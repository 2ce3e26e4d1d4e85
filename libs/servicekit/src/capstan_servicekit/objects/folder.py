"""The object store of a laptop: a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from capstan_contracts.ids import DIGEST_PATTERN
from capstan_servicekit.errors import Invalid, NotFound, broken
from capstan_servicekit.security.paths import under


def sha256_file(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FolderObjectStore:
    """Objects as files: `<root>/<project>/sha256/<2>/<digest>`. A write is a rename, so readers see all or nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put_bytes(self, project: str, content: bytes) -> str:
        """Store bytes durably; their digest."""
        return await anyio.to_thread.run_sync(self._put_bytes, project, content)

    async def put_file(self, project: str, source: Path) -> str:
        """Store a copy of a file durably; its digest."""
        return await anyio.to_thread.run_sync(self._put_file, project, source)

    async def read(self, project: str, digest: str) -> bytes:
        """All bytes of an object."""
        return await anyio.to_thread.run_sync((await self.local_path(project, digest)).read_bytes)

    async def local_path(self, project: str, digest: str) -> Path:
        """The object's own file."""
        path = self._path(project, digest)
        if not path.is_file():
            raise NotFound(f"no object {digest[:12]} in project {project}")
        return path

    async def exists(self, project: str, digest: str) -> bool:
        """Whether the object is there."""
        return self._path(project, digest).is_file()

    def _path(self, project: str, digest: str) -> Path:
        if len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest):
            raise Invalid("not a digest", errors=broken("digest", DIGEST_PATTERN))
        return under(self._root, f"{project}/sha256/{digest[:2]}/{digest}")

    def _put_bytes(self, project: str, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        target = self._path(project, digest)
        if not target.exists():
            incoming = self._incoming(project)
            incoming.write_bytes(content)
            self._publish(incoming, target)
        return digest

    def _put_file(self, project: str, source: Path) -> str:
        incoming = self._incoming(project)
        shutil.copyfile(source, incoming)
        digest = sha256_file(incoming)
        target = self._path(project, digest)
        if target.exists():
            incoming.unlink()
        else:
            self._publish(incoming, target)
        return digest

    def _incoming(self, project: str) -> Path:
        folder = under(self._root, f"{project}/incoming")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    @staticmethod
    def _publish(incoming: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with incoming.open("rb") as file:
            os.fsync(file.fileno())
        incoming.chmod(0o444)
        incoming.rename(target)
        fsync_folder(target.parent)


async def stream_to_file(chunks: AsyncIterator[bytes], target: Path) -> tuple[str, int]:
    """Write a stream to a file as it comes; (sha256, bytes)."""
    digest, size = hashlib.sha256(), 0
    async with await anyio.open_file(target, "wb") as file:
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            await file.write(chunk)
    return digest.hexdigest(), size
