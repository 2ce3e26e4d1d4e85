"""The object store of a laptop: a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio

from capstan_contracts.ids import DIGEST_PATTERN
from capstan_servicekit.errors import Damaged, Invalid, NotFound, broken
from capstan_servicekit.objects.checked import CheckedFiles, sha256_file
from capstan_servicekit.objects.port import PUT_BACK, Condition
from capstan_servicekit.security.paths import under
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)


def fsync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FolderObjectStore:
    """Objects as files: `<root>/<project>/sha256/<2>/<digest>`. A write is a rename, so readers see all or nothing.

    Damaged ones are moved to `<root>/<project>/damaged/<digest>`.
    """

    def __init__(self, root: Path, checked: CheckedFiles | None = None) -> None:
        self._root, self._checked = root, checked or CheckedFiles()

    async def put_bytes(self, project: str, content: bytes) -> str:
        """Store bytes durably; their digest."""
        return await anyio.to_thread.run_sync(self._put_bytes, project, content)

    async def put_file(self, project: str, source: Path) -> str:
        """Store a copy of a file durably; its digest."""
        return await anyio.to_thread.run_sync(self._put_file, project, source)

    async def read(self, project: str, digest: str) -> bytes:
        """All bytes of an object."""
        return await anyio.to_thread.run_sync(self._read, project, digest)

    async def local_path(self, project: str, digest: str) -> Path:
        """The object's own file."""
        return await anyio.to_thread.run_sync(self._whole, project, digest)

    async def exists(self, project: str, digest: str) -> bool:
        """Whether the object is there."""
        return self._path(project, digest).is_file() or self._aside(project, digest).is_file()

    async def scrub(self, project: str, digest: str) -> Condition:
        """Read its file."""
        return await anyio.to_thread.run_sync(self._scrub, project, digest)

    def _path(self, project: str, digest: str) -> Path:
        if len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest):
            raise Invalid("not a digest", errors=broken("digest", DIGEST_PATTERN))
        return under(self._root, f"{project}/sha256/{digest[:2]}/{digest}")

    def _aside(self, project: str, digest: str) -> Path:
        self._path(project, digest)
        return under(self._root, f"{project}/damaged/{digest}")

    def _whole(self, project: str, digest: str) -> Path:
        """The file, once its bytes are known to be right. NotFound, Damaged."""
        path = self._path(project, digest)
        try:
            found = self._checked.digest_of(path)
        except FileNotFoundError:
            return self._taken_back(project, digest)
        if found != digest:
            raise self._set_aside(project, digest, found)
        return path

    def _read(self, project: str, digest: str) -> bytes:
        content = self._whole(project, digest).read_bytes()
        if (found := hashlib.sha256(content).hexdigest()) != digest:
            raise self._set_aside(project, digest, found)
        return content

    def _scrub(self, project: str, digest: str) -> Condition:
        self._checked.forget(self._path(project, digest))
        try:
            self._whole(project, digest)
        except Damaged:
            return Condition.DAMAGED
        except NotFound:
            return Condition.GONE
        return Condition.WHOLE

    def _taken_back(self, project: str, digest: str) -> Path:
        """What was set aside and has been mended there (it may have other names in the file system) is taken back."""
        path, aside = self._path(project, digest), self._aside(project, digest)
        try:
            found = self._checked.digest_of(aside)
        except FileNotFoundError:
            raise NotFound(f"no object {digest[:12]} in project {project}") from None
        if found != digest:
            raise _damaged(project, digest, found, aside)
        aside.rename(path)
        fsync_folder(path.parent)
        return path

    def _set_aside(self, project: str, digest: str, found: str) -> Damaged:
        """Move a damaged file out of everybody's way; the error that says so."""
        path, aside = self._path(project, digest), self._aside(project, digest)
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # somebody else has found it, too
            path.replace(aside)
        fsync_folder(aside.parent)
        self._checked.forget(path)
        log.error("object.damaged", project=project, digest=digest, found=found, file=str(aside))
        return _damaged(project, digest, found, aside)

    def _put_bytes(self, project: str, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if not self._holds(project, digest):
            incoming = self._incoming(project)
            incoming.write_bytes(content)
            self._publish(project, digest, incoming)
        return digest

    def _put_file(self, project: str, source: Path) -> str:
        incoming = self._incoming(project)
        shutil.copyfile(source, incoming)
        digest = sha256_file(incoming)
        if self._holds(project, digest):
            incoming.unlink()
        else:
            self._publish(project, digest, incoming)
        return digest

    def _holds(self, project: str, digest: str) -> bool:
        """Whether it is there and whole: what is damaged is replaced by what is put."""
        try:
            self._whole(project, digest)
        except (NotFound, Damaged):
            return False
        return True

    def _incoming(self, project: str) -> Path:
        folder = under(self._root, f"{project}/incoming")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    def _publish(self, project: str, digest: str, incoming: Path) -> None:
        target = self._path(project, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        with incoming.open("rb") as file:
            os.fsync(file.fileno())
        incoming.chmod(0o444)
        incoming.rename(target)
        self._checked.note(target, digest)
        fsync_folder(target.parent)
        self._aside(project, digest).unlink(missing_ok=True)


def _damaged(project: str, digest: str, found: str, aside: Path) -> Damaged:
    return Damaged(
        f"object {digest[:12]} of project {project} has other bytes ({found[:12]}) than were stored; it is set aside "
        f"as damaged/{aside.name}",
        hint=PUT_BACK,
        copy=aside,
    )


async def stream_to_file(chunks: AsyncIterator[bytes], target: Path) -> tuple[str, int]:
    """Write a stream to a file as it comes; (sha256, bytes)."""
    digest, size = hashlib.sha256(), 0
    async with await anyio.open_file(target, "wb") as file:
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            await file.write(chunk)
    return digest.hexdigest(), size
